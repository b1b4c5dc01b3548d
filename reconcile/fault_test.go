package reconcile

import "testing"

func TestWorstFollowsTheTable(t *testing.T) {
	t.Parallel()
	// DESIGN §8: the first present of these.
	order := []int{14, 13, 16, 15, 12, 18, 11, 10}
	for i, code := range order {
		for _, lesser := range append([]int{0}, order[i:]...) {
			if got := Worst(lesser, code); got != code {
				t.Errorf("Worst(%d, %d) = %d, want %d", lesser, code, got, code)
			}
			if got := Worst(code, lesser); got != code {
				t.Errorf("Worst(%d, %d) = %d, want %d", code, lesser, got, code)
			}
		}
	}
}

package plan

import "slices"

// Cycle gives nodes of which each leads to the next and the last is the first
// again, or nil when no node leads back to itself. Equal graphs give an equal
// cycle.
func Cycle[N comparable](nodes []N, next func(N) []N) []N {
	const entered, left = 1, 2
	state := map[N]int{}
	var way []N
	var visit func(N) []N
	visit = func(n N) []N {
		switch state[n] {
		case left:
			return nil
		case entered:
			return append(slices.Clone(way[slices.Index(way, n):]), n)
		}
		state[n] = entered
		way = append(way, n)
		for _, to := range next(n) {
			if found := visit(to); found != nil {
				return found
			}
		}
		way = way[:len(way)-1]
		state[n] = left
		return nil
	}
	for _, n := range nodes {
		if found := visit(n); found != nil {
			return found
		}
	}
	return nil
}

package tests

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMakeRunTouchesNoClusterUnnamed asks make what it would do: the story with its drift and prune is for the embedded
// cluster alone, and somebody's own cluster is one that they name on the command line.
func TestMakeRunTouchesNoClusterUnnamed(t *testing.T) {
	const story, sync = "./tests/demo", "tidemark sync"
	own := []string{"KUBECONFIG=/own", "CONTEXT=own", "REPO=https://git.example/shop.git", "APP_PATH=deploy", "STATE=file:///state"}
	tests := []struct {
		name string
		env  []string
		args []string
		want []string
		not  []string
	}{
		{name: "nothing given", want: []string{story}, not: []string{sync}},
		{name: "an exported kubeconfig is not used", env: []string{"KUBECONFIG=/exported"}, want: []string{story}, not: []string{sync, "/exported"}},
		{name: "nor anything else exported", env: own, want: []string{story}, not: []string{sync, "/own"}},
		{name: "nor when the environment overrides", env: own, args: []string{"-e"}, want: []string{story}, not: []string{sync, "/own"}},
		{
			name: "everything given", args: own, not: []string{story},
			want: []string{sync + " --app 'shop' --repo 'https://git.example/shop.git' --path 'deploy' --state 'file:///state' --kubeconfig '/own' --context 'own'"},
		},
		{name: "a kubeconfig alone", args: own[:1], want: []string{"say CONTEXT=… REPO=… STATE=… on"}, not: []string{story, sync}},
		{name: "all but a kubeconfig", env: own[:1], args: own[1:], want: []string{"say KUBECONFIG=… on"}, not: []string{story, sync}},
		{name: "an empty kubeconfig", env: own[:1], args: append([]string{"KUBECONFIG="}, own[1:]...), want: []string{"say KUBECONFIG=… on"}, not: []string{story, sync}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "make", append([]string{"-n", "run"}, test.args...)...)
			cmd.Dir = ".."
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, test.env...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range test.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("make would not do %q:\n%s", want, out)
				}
			}
			for _, not := range test.not {
				if strings.Contains(string(out), not) {
					t.Errorf("make would do %q:\n%s", not, out)
				}
			}
		})
	}
}

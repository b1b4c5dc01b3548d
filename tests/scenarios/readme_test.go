package scenarios_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tidemark.dev/tidemark/tests/binary"
	"tidemark.dev/tidemark/tests/servers"
)

// session is a part of README.md: files, and commands with what they print.
type session struct {
	files    map[string]string
	commands []typed
}

// typed is one command and the output that the page shows. "…" stands for whatever is in its place of the line, and for
// any lines where it is alone in one.
type typed struct{ command, output string }

// TestReadme types the commands of README.md's demo, in a folder with its files, and wants what the page says they print.
// What does not exit with 0 is followed by "echo $?".
func TestReadme(t *testing.T) {
	program, err := binary.Path()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	demo := sessionOf(t, string(page), "### A bad image, and the way back\n")
	cluster := servers.For(t, servers.StartControlPlane, servers.ControlPlaneOptions{ControllerManager: true})
	servers.For(t, servers.StartNodes, servers.NodesOptions{Cluster: cluster})
	home, bin := t.TempDir(), t.TempDir()
	dir := filepath.Join(home, "shop")
	kubeconfig := filepath.Join(home, "kubeconfig")
	if err := cluster.Kubeconfig(kubeconfig, servers.Admin); err != nil {
		t.Fatal(err)
	}
	kubectl, err := cluster.Program("kubectl")
	if err := errors.Join(err, os.Symlink(program, filepath.Join(bin, "tidemark")), os.Symlink(kubectl, filepath.Join(bin, "kubectl"))); err != nil {
		t.Fatal(err)
	}
	for name, text := range demo.files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	demo.play(t, dir, []string{
		"HOME=" + home, "KUBECONFIG=" + kubeconfig, "PATH=" + bin + ":" + os.Getenv("PATH"), "USER=tide",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_NOSYSTEM=1",
	})
}

// play types all commands into one shell.
func (s session) play(t *testing.T, dir string, env []string) {
	t.Helper()
	var script strings.Builder
	for _, c := range s.commands {
		// Neither the mark nor its own exit code gets in the way of "echo $?".
		fmt.Fprintf(&script, "%s\nexited=$?; printf '\\0%%d\\0' $exited; (exit $exited)\n", c.command)
	}
	shell := exec.CommandContext(t.Context(), "sh")
	var stdout, stderr bytes.Buffer
	shell.Dir, shell.Env, shell.Stdin, shell.Stdout, shell.Stderr = dir, env, strings.NewReader(script.String()), &stdout, &stderr
	err := shell.Run()
	parts := strings.Split(stdout.String(), "\x00")
	if len(parts) != 2*len(s.commands)+1 {
		t.Fatalf("the shell ended early: %v\n%s\n%s", err, &stdout, &stderr)
	}
	for i, c := range s.commands {
		printed, exit := parts[2*i], parts[2*i+1]
		if !c.prints(printed) {
			t.Errorf("$ %s\nprinted\n%s\nREADME.md says\n%s", c.command, printed, c.output)
		}
		told := i+1 < len(s.commands) && s.commands[i+1].command == "echo $?"
		if exit != "0" && !told {
			t.Errorf("$ %s\nexited with %s\n%s", c.command, exit, printed)
		}
	}
	if t.Failed() {
		t.Logf("stderr of all commands:\n%s", &stderr)
	}
}

func (c typed) prints(output string) bool {
	var pattern strings.Builder
	for line := range strings.Lines(c.output) {
		line = strings.TrimRight(line, " \n")
		if line == "…" {
			pattern.WriteString(`(?:[^\n]*\n)*`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", `[^\n]*`) + ` *\n`)
	}
	return regexp.MustCompile(`\A` + pattern.String() + `\z`).MatchString(output)
}

// sessionOf reads the blocks under a heading: those of the shell, and files, whose first line is their name in a comment.
func sessionOf(t *testing.T, page, heading string) session {
	t.Helper()
	_, rest, found := strings.Cut(page, heading)
	if !found {
		t.Fatalf("README.md has no heading %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n##")
	s := session{files: map[string]string{}}
	for _, block := range regexp.MustCompile("(?ms)^```(yaml|console)\n(.*?)^```$").FindAllStringSubmatch(rest, -1) {
		if block[1] == "yaml" {
			name, _, _ := strings.Cut(strings.TrimPrefix(block[2], "# "), "\n")
			s.files[name] = block[2]
			continue
		}
		for line := range strings.Lines(block[2]) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				s.commands = append(s.commands, typed{command: strings.TrimSuffix(command, "\n")})
			} else if last := len(s.commands) - 1; last >= 0 {
				s.commands[last].output += line
			}
		}
	}
	if len(s.files) == 0 || len(s.commands) == 0 {
		t.Fatalf("README.md shows %d files and %d commands under %q", len(s.files), len(s.commands), heading)
	}
	return s
}

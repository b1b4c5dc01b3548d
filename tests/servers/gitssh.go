package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// GitSSHOptions says how the client's key is kept.
type GitSSHOptions struct {
	// Passphrase guards the private key, when set.
	Passphrase string
}

// GitSSH serves the bare repositories under Root with the system's own sshd, to one key, for reading only.
type GitSSH struct {
	// Addr is where it listens, as host:port.
	Addr string
	// User is the only user it knows: whoever runs this process.
	User string
	// Root holds the repositories; Repo.Publish puts them there at any time.
	Root string
	// Key is the private key file, in OpenSSH's format; Key + ".pub" is the public one.
	Key string
	// KnownHosts is a known_hosts file that names the server's key under Addr.
	KnownHosts string
	// Log is the file to which sshd writes.
	Log string

	process *process
}

// ErrNoSSHD says that sshd is not on this machine.
var ErrNoSSHD = errors.New("no /usr/sbin/sshd on this machine: install it with: go run ./tests/servers/install ssh")

// StartGitSSH serves what is, or will be, under dir/git.
func StartGitSSH(ctx context.Context, dir string, options GitSSHOptions) (*GitSSH, error) {
	const sshd = "/usr/sbin/sshd" // It starts itself again for each connection, by this name.
	if _, err := os.Stat(sshd); err != nil {
		return nil, ErrNoSSHD
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		// Where it locks itself up before the client is known; a service's start would make it.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	g := &GitSSH{
		Addr: fmt.Sprintf("127.0.0.1:%d", port), User: me.Username,
		Root: file("git"), Key: file("id_ed25519"), KnownHosts: file("known_hosts"), Log: file("sshd.log"),
	}
	if err := os.MkdirAll(g.Root, 0o755); err != nil {
		return nil, err
	}
	if err := makeKey(ctx, g.Key, options.Passphrase); err != nil {
		return nil, err
	}
	if err := makeKey(ctx, file("host_ed25519"), ""); err != nil {
		return nil, err
	}
	hostKey, err := os.ReadFile(file("host_ed25519.pub"))
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		"known_hosts": fmt.Sprintf("[127.0.0.1]:%d %s", port, hostKey),
		"only-read":   fmt.Sprintf(onlyRead, strings.Join(gitEnv(dir), "' '"), g.Root),
		"sshd_config": fmt.Sprintf(sshdConfig, port, file("host_ed25519"), g.Key, file("only-read")),
	} {
		if err := os.WriteFile(file(name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	g.process, err = startProcess(ctx, dir, "sshd", nil, []string{sshd, "-D", "-e", "-f", file("sshd_config")}, g.greets)
	return g, err
}

// URL is the address of a repository, named by its path under Root.
func (g *GitSSH) URL(repo string) string { return "ssh://" + g.User + "@" + g.Addr + "/" + repo }

// Stop ends the server.
func (g *GitSSH) Stop() error { return g.process.Stop() }

func (g *GitSSH) greets(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", g.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-2.0-") {
		err = fmt.Errorf("%s greets with %q", g.Addr, line)
	}
	return err
}

func makeKey(ctx context.Context, path, passphrase string) error {
	out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "tidemark test", "-f", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	return nil
}

const sshdConfig = `ListenAddress 127.0.0.1:%d
HostKey %q
AuthorizedKeysFile "%s.pub"
ForceCommand /bin/sh "%s"
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
AllowTcpForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTTY no
AcceptEnv GIT_PROTOCOL
LogLevel VERBOSE
`

// onlyRead runs instead of the command that the client asked for, which git sends as: git-upload-pack '/app.git'.
const onlyRead = `case "$SSH_ORIGINAL_COMMAND" in
*..*) ;;
"git-upload-pack '"*"'")
	path="${SSH_ORIGINAL_COMMAND#*\'}"
	path="${path%%\'}"
	exec env -i '%s' "GIT_PROTOCOL=$GIT_PROTOCOL" git upload-pack '%s'/"${path#/}"
	;;
esac
echo "only git-upload-pack is served here" >&2
exit 1
`

package git

import (
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// address is where a repository is, taken apart; it holds no credential.
type address struct {
	scheme string // https, http, ssh, file
	user   string // ssh only
	host   string // without port, without brackets
	port   string // empty: the scheme's own
	// path begins with "/" except in the scp form of ssh, where it may be
	// relative to the user's home; for http it is escaped.
	path string
}

// parseURL takes a URL apart. The credentials in it come back apart from the
// address, and no error ever shows the URL itself, which may hold some.
//
// The forms are those of git-fetch(1): https://, http://, ssh://, file://,
// [user@]host:path, and a path.
func parseURL(raw string) (address, *url.Userinfo, error) {
	if strings.ContainsFunc(raw, unicode.IsControl) || !utf8.ValidString(raw) {
		return address{}, nil, invalid("repository URL: holds a control character, or is not UTF-8")
	}
	scheme, _, hasScheme := strings.Cut(raw, "://")
	switch {
	case raw == "":
		return address{}, nil, invalid("repository URL: is empty")
	case hasScheme && !strings.ContainsAny(scheme, "/:@"):
		return parseSchemeURL(raw)
	case isSCP(raw):
		return parseSCP(raw)
	}
	path, err := filepath.Abs(raw)
	if err != nil {
		return address{}, nil, invalid("repository path: %w", err)
	}
	return address{scheme: "file", path: filepath.ToSlash(path)}, nil, nil
}

func parseSchemeURL(raw string) (address, *url.Userinfo, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return address{}, nil, invalid("repository URL: is not a URL (credentials in it must be percent-encoded)")
	}
	a := address{scheme: strings.ToLower(u.Scheme), host: strings.ToLower(u.Hostname()), port: u.Port(), path: u.EscapedPath()}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return address{}, nil, invalid("repository URL on host %q: cannot hold a query or a fragment", a.host)
	}
	switch a.scheme {
	case "https", "http":
		a.path = strings.TrimRight(a.path, "/")
	case "ssh":
		a.path = u.Path
		a.user, u.User = sshUser(u.User)
		// As git does: ssh://host/~user/repo means that user's home.
		if strings.HasPrefix(a.path, "/~") {
			a.path = a.path[1:]
		}
	case "file":
		if a.host != "" && a.host != "localhost" {
			return address{}, nil, invalid("repository URL: file:// takes a path on this machine, not host %q; three slashes are wanted", a.host)
		}
		if u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.ContainsFunc(u.Path, unicode.IsControl) || !utf8.ValidString(u.Path) {
			return address{}, nil, invalid("repository URL: file:// wants an absolute path: file:///path")
		}
		return address{scheme: "file", path: filepath.ToSlash(filepath.Clean(u.Path))}, nil, nil
	default:
		return address{}, nil, invalid("repository URL: %s:// is not supported; use https, http, ssh, user@host:path, file or a path", printable(a.scheme, 20))
	}
	if err := a.check(); err != nil {
		return address{}, nil, err
	}
	return a, u.User, nil
}

// sshUser splits the user, who is part of an ssh address, from a password,
// which is not.
func sshUser(info *url.Userinfo) (string, *url.Userinfo) {
	if info == nil || info.Username() == "" {
		return "git", info
	}
	if _, has := info.Password(); !has {
		return info.Username(), nil
	}
	return info.Username(), info
}

// isSCP tells "host:path" from a path, as git does: a colon stands before the
// first slash.
func isSCP(raw string) bool {
	head, _, _ := strings.Cut(raw, "/")
	return strings.Contains(head, ":")
}

func parseSCP(raw string) (address, *url.Userinfo, error) {
	a := address{scheme: "ssh", user: "git"}
	rest := raw
	head, _, _ := strings.Cut(raw, "/")
	if at := strings.LastIndex(head, "@"); at >= 0 {
		a.user, rest = raw[:at], raw[at+1:]
		if strings.Contains(a.user, ":") || a.user == "" {
			return address{}, nil, invalid("repository URL: in user@host:path the user cannot be empty or carry a password")
		}
	}
	if inner, ok := strings.CutPrefix(rest, "["); ok {
		host, after, closed := strings.Cut(inner, "]:")
		if !closed || net.ParseIP(host) == nil {
			return address{}, nil, invalid("repository URL: in user@[address]:path the address must be an IPv6 address")
		}
		a.host, a.path = host, after
	} else {
		a.host, a.path, _ = strings.Cut(rest, ":")
	}
	a.host = strings.ToLower(a.host)
	if err := a.check(); err != nil {
		return address{}, nil, err
	}
	return a, nil, nil
}

func (a address) check() error {
	if a.host == "" {
		return invalid("repository URL: %s wants a host", a.scheme)
	}
	for _, r := range a.host {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("-._:", r)) || strings.HasPrefix(a.host, "-") {
			return invalid("repository URL: %q is not a host", printable(a.host, 80))
		}
	}
	if strings.Contains(a.host, ":") && net.ParseIP(a.host) == nil {
		return invalid("repository URL: %q is not a host", printable(a.host, 80))
	}
	if a.port != "" {
		if n, err := strconv.ParseUint(a.port, 10, 16); err != nil || n == 0 {
			return invalid("repository URL on host %q: the port is not one", a.host)
		}
	}
	if strings.Trim(a.path, "/") == "" {
		return invalid("repository URL on host %q: wants a path", a.host)
	}
	if strings.ContainsFunc(a.path, unicode.IsControl) || !utf8.ValidString(a.path) {
		return invalid("repository URL on host %q: the path holds a control character", a.host)
	}
	// The server hands the path to a program as its argument.
	if strings.HasPrefix(a.path, "-") || strings.HasPrefix(a.path, ":") {
		return invalid("repository URL on host %q: the path cannot begin with %q", a.host, a.path[:1])
	}
	for _, r := range a.user {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._+$", r)) || strings.HasPrefix(a.user, "-") {
			return invalid("repository URL on host %q: the user is not one", a.host)
		}
	}
	return nil
}

// hostPort gives the host as a URL writes it, with the port if it is not the
// scheme's own.
func (a address) hostPort() string {
	host := a.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if a.port != "" && a.port != defaultPort(a.scheme) {
		return host + ":" + a.port
	}
	return host
}

func (a address) dialPort() string {
	if a.port != "" {
		return a.port
	}
	return defaultPort(a.scheme)
}

func defaultPort(scheme string) string {
	return map[string]string{"https": "443", "http": "80", "ssh": "22"}[scheme]
}

// String gives the URL that is shown and recorded.
func (a address) String() string {
	switch {
	case a.scheme == "file":
		return (&url.URL{Scheme: "file", Path: a.path}).String()
	case a.scheme == "ssh" && !strings.HasPrefix(a.path, "/") && !strings.HasPrefix(a.path, "~") && a.port == "":
		return a.user + "@" + a.hostPort() + ":" + a.path
	case a.scheme == "ssh":
		return "ssh://" + a.user + "@" + a.hostPort() + (&url.URL{Path: "/" + strings.TrimPrefix(a.path, "/")}).EscapedPath()
	}
	return a.scheme + "://" + a.hostPort() + a.path
}

// sameServer reports whether credentials for one address may be used at the
// other.
func (a address) sameServer(b address) bool {
	return a.scheme == b.scheme && a.user == b.user && a.host == b.host && a.dialPort() == b.dialPort()
}

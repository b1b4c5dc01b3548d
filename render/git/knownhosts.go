package git

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the hash that known_hosts uses to hide names
	"crypto/subtle"
	"encoding/base64"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownHosts holds the keys that servers are recognised by, as sshd(8), "SSH
// KNOWN_HOSTS FILE FORMAT", writes them: names, [name]:port, the wildcards *
// and ?, names excluded with !, hashed names, and @revoked. Lines with
// @cert-authority are ignored, as are lines that make no sense.
//
// The package golang.org/x/crypto/ssh/knownhosts reads files only, and a
// Secret is no file.
type knownHosts []knownHost

type knownHost struct {
	patterns []string
	key      ssh.PublicKey
	revoked  bool
}

func parseKnownHosts(data []byte) knownHosts {
	var all knownHosts
	for line := range bytes.Lines(data) {
		marker, patterns, key, _, _, err := ssh.ParseKnownHosts(line)
		if err != nil || marker != "" && marker != "revoked" {
			continue
		}
		all = append(all, knownHost{patterns, key, marker == "revoked"})
	}
	return all
}

// keysOf gives the trusted keys of a host.
func (all knownHosts) keysOf(host string) []ssh.PublicKey {
	var keys []ssh.PublicKey
	for _, known := range all {
		if !known.revoked && known.names(host) {
			keys = append(keys, known.key)
		}
	}
	return keys
}

func (all knownHosts) isRevoked(host string, key ssh.PublicKey) bool {
	return slices.ContainsFunc(all, func(known knownHost) bool {
		return known.revoked && known.names(host) && sameKey(known.key, key)
	})
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

func (k knownHost) names(host string) bool {
	found := false
	for _, pattern := range k.patterns {
		switch {
		case strings.HasPrefix(pattern, "|"):
			found = found || matchesHashed(pattern, host)
		case strings.HasPrefix(pattern, "!"):
			if matchesWild(pattern[1:], host) {
				return false
			}
		default:
			found = found || matchesWild(pattern, host)
		}
	}
	return found
}

// matchesHashed compares a host with "|1|salt|hash", both in base 64.
func matchesHashed(pattern, host string) bool {
	parts := strings.Split(pattern, "|")
	if len(parts) != 4 || parts[1] != "1" {
		return false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	want, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(host))
	return subtle.ConstantTimeCompare(mac.Sum(nil), want) == 1
}

// matchesWild compares a host with a pattern in which * stands for any text
// and ? for one letter.
func matchesWild(pattern, host string) bool {
	pattern = strings.ToLower(pattern)
	// The place to come back to: after the last star, and what it covered.
	star, covered := -1, 0
	p, h := 0, 0
	for h < len(host) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == host[h]):
			p++
			h++
		case p < len(pattern) && pattern[p] == '*':
			star, covered = p, h
			p++
		case star >= 0:
			covered++
			p, h = star+1, covered
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// knownName gives a host as known_hosts writes it.
func knownName(host, port string) string {
	if port == "22" {
		return host
	}
	return "[" + host + "]:" + port
}

// verifier gives what an ssh client checks a server with, and the algorithms
// to ask the server for, so that it shows a key that is known. Without any
// known key the error comes before the server is asked.
func (all knownHosts) verifier(host, port string) (ssh.HostKeyCallback, []string, error) {
	name := knownName(host, port)
	scan := "ssh-keyscan " + host
	if port != "22" {
		scan = "ssh-keyscan -p " + port + " " + host
	}
	keys := all.keysOf(name)
	if len(keys) == 0 {
		return nil, nil, &HostKeyError{Host: name, Scan: scan}
	}
	check := func(_ string, _ net.Addr, offered ssh.PublicKey) error {
		e := &HostKeyError{Host: name, Scan: scan, Fingerprint: ssh.FingerprintSHA256(offered)}
		if all.isRevoked(name, offered) {
			e.Revoked = true
			return e
		}
		if !slices.ContainsFunc(keys, func(key ssh.PublicKey) bool { return sameKey(key, offered) }) {
			return e
		}
		return nil
	}
	var algorithms []string
	for _, key := range keys {
		if key.Type() == ssh.KeyAlgoRSA {
			algorithms = append(algorithms, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
			continue
		}
		algorithms = append(algorithms, key.Type())
	}
	slices.Sort(algorithms)
	return check, slices.Compact(algorithms), nil
}

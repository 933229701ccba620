package members

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// OnlyReboots is Config.Only of a host that takes no units: its reboots alone are the cluster's.
const OnlyReboots = "reboots"

// Reboot is what a host's configuration says of its reboots.
type Reboot struct {
	FleetLock FleetLock `json:"fleetlock,omitzero"`

	// Sources say whether the host needs a reboot; absent = the usual ones, [] = nobody says so.
	Sources []RebootSource `json:"sources,omitzero"`
}

// FleetLock is where a host answers FleetLock clients (Zincati, fleetlockctl, curl) besides its API. The zero
// value is nowhere.
type FleetLock struct {
	Address   string `json:"address"`              // host:port
	TLS       bool   `json:"tls,omitempty"`        // with the host's certificate
	TokenFile string `json:"token_file,omitempty"` // its content is what clients must show
}

// check finds the first value that cannot work; own are the ports that the host uses otherwise.
func (f FleetLock) check(own ...int) (field, what, hint string) {
	const likeThis = "write it like 127.0.0.1:3333"
	if f.Address == "" {
		if f.TLS || f.TokenFile != "" {
			return "address", "is missing", likeThis
		}
		return "", "", ""
	}
	host, port, err := net.SplitHostPort(f.Address)
	n, bad := strconv.Atoi(port)
	switch {
	case err != nil, bad != nil, n < 1, n > 65535:
		return "address", fmt.Sprintf("%q is no address with a port", f.Address), likeThis
	case host != "" && host != "localhost" && net.ParseIP(host) == nil:
		return "address", fmt.Sprintf("%q is no IP address", host), likeThis
	case !loopback(cmp.Or(host, "0.0.0.0")) && !(f.TLS && f.TokenFile != ""):
		return "address", f.Address + " can be reached from elsewhere, where anybody could hold up reboots", "listen on 127.0.0.1, or give both TLS and a token file"
	}
	for _, p := range own {
		if p == n {
			return "address", fmt.Sprintf("port %d is one of this host's already", n), "choose another port"
		}
	}
	return "", "", ""
}

// Token reads what clients must show, "" without a token file.
func (f FleetLock) Token() (string, error) {
	if f.TokenFile == "" {
		return "", nil
	}
	raw, err := os.ReadFile(f.TokenFile)
	if err != nil {
		return "", fmt.Errorf("read the token of FleetLock clients: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if len(token) < minToken || strings.ContainsAny(token, " \t\r\n") {
		return "", &Problem{File: f.TokenFile, What: fmt.Sprintf("want one word of at least %d characters", minToken), Hint: "openssl rand -hex 32 >" + f.TokenFile}
	}
	return token, nil
}

// minToken is how long a token of FleetLock clients must be, for it to be no guess.
const minToken = 16

// CheckFleetLock says what is wrong with where FleetLock clients are to be answered; nil = nothing.
func (c Config) CheckFleetLock() error {
	if field, what, hint := c.Reboot.FleetLock.check(c.APIPort, c.Etcd.ClientPort, c.Etcd.PeerPort); what != "" {
		return &Problem{What: "FleetLock's " + field + ": " + what, Hint: hint}
	}
	return nil
}

// checkReboot is the part of check about reboots.
func (c Config) checkReboot() (field, what, hint string) {
	if c.Only != "" && c.Only != OnlyReboots {
		return "only", fmt.Sprintf("%q is unknown", c.Only), `write "` + OnlyReboots + `", or leave it out for a host that takes units too`
	}
	if field, what, hint = c.Reboot.FleetLock.check(c.APIPort, c.Etcd.ClientPort, c.Etcd.PeerPort); what != "" {
		return "reboot.fleetlock." + field, what, hint
	}
	return c.checkSources()
}

package members

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// OnlyReboots is Config.Only of a host that takes no units: its reboots alone are the cluster's.
const OnlyReboots = "reboots"

// FleetLock is where a host answers FleetLock clients (Zincati, fleetlockctl, curl) besides its API. The zero
// value is nowhere.
type FleetLock struct {
	Address   string `json:"address"`              // host:port
	TLS       bool   `json:"tls,omitempty"`        // with the host's certificate
	TokenFile string `json:"token_file,omitempty"` // its content is what clients must show
}

// likeLock says how an address is written.
const likeLock = "write it like 127.0.0.1:3333"

// Check finds what cannot work, and how to mend it; "" is nothing.
func (f FleetLock) Check() (what, hint string) {
	if f == (FleetLock{}) {
		return "", ""
	}
	host, port, err := net.SplitHostPort(f.Address)
	n, bad := strconv.Atoi(port)
	switch {
	case err != nil, bad != nil, n < 1, n > 65535:
		return fmt.Sprintf("%q is no address with a port", f.Address), likeLock
	case host != "" && host != "localhost" && net.ParseIP(host) == nil:
		return fmt.Sprintf("%q is no IP address", host), likeLock
	case !loopback(cmp.Or(host, "0.0.0.0")) && (!f.TLS || f.TokenFile == ""):
		return "others could reach it, and hold up reboots", "listen on 127.0.0.1, or give both TLS and a token"
	}
	return "", ""
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

// checkOnly is the part of check about what the host is here for.
func (c Config) checkOnly() (field, what, hint string) {
	if c.Only != "" && c.Only != OnlyReboots {
		return "only", fmt.Sprintf("%q is unknown", c.Only), `write "` + OnlyReboots + `", or leave it out for a host that takes units too`
	}
	return "", "", ""
}

// checkFleetLock is the part of check about FleetLock clients.
func (c Config) checkFleetLock() (field, what, hint string) {
	if what, hint = c.Reboot.FleetLock.Check(); what != "" {
		return "reboot.fleetlock.address", what, hint
	}
	if _, port, _ := net.SplitHostPort(c.Reboot.FleetLock.Address); slices.Contains(c.ports(), port) {
		return "reboot.fleetlock.address", "port " + port + " is one of this host's own", "choose another port"
	}
	return "", "", ""
}

// ports are those of the host's own listeners.
func (c Config) ports() []string {
	return []string{strconv.Itoa(c.APIPort), strconv.Itoa(c.Etcd.ClientPort), strconv.Itoa(c.Etcd.PeerPort)}
}

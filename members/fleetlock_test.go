package members

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFleetLockAddress: plain text stays on this host, and no port is taken twice.
func TestFleetLockAddress(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                                     "",
		`{"address":"127.0.0.1:3333"}`:                           "",
		`{"address":"[::1]:3333"}`:                               "",
		`{"address":"localhost:3333"}`:                           "",
		`{"address":"3333"}`:                                     `f:2: reboot.fleetlock.address: "3333" is no address with a port (write it like 127.0.0.1:3333)`,
		`{"address":"127.0.0.1:0"}`:                              `f:2: reboot.fleetlock.address: "127.0.0.1:0" is no address with a port (write it like 127.0.0.1:3333)`,
		`{"address":"127.0.0.1:http"}`:                           `f:2: reboot.fleetlock.address: "127.0.0.1:http" is no address with a port (write it like 127.0.0.1:3333)`,
		`{"address":"alpha:3333"}`:                               `f:2: reboot.fleetlock.address: "alpha" is no IP address (write it like 127.0.0.1:3333)`,
		`{"address":"127.0.0.1:7117"}`:                           `f:2: reboot.fleetlock.address: port 7117 is one of this host's own (choose another port)`,
		`{"address":":3333"}`:                                    `f:2: reboot.fleetlock.address: others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)`,
		`{"address":"10.0.0.1:3333"}`:                            `f:2: reboot.fleetlock.address: others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)`,
		`{"address":"[::]:33","tls":true}`:                       `f:2: reboot.fleetlock.address: others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)`,
		`{"address":"10.0.0.1:33","token_file":"/t"}`:            `f:2: reboot.fleetlock.address: others could reach it, and hold up reboots (listen on 127.0.0.1, or give both TLS and a token)`,
		`{"address":"10.0.0.1:33","tls":true,"token_file":"/t"}`: "",
		`{"address":"","tls":true}`:                              `f:2: reboot.fleetlock.address: "" is no address with a port (write it like 127.0.0.1:3333)`,
	} {
		raw := `{"host":"` + hostA + `","address":"10.0.0.1","endpoints":["https://10.0.0.1:7118"],` + "\n" + `"reboot":{"fleetlock":` + text + `}}`
		_, err := parseConfig("f", []byte(raw), Defaults(DefaultPaths()))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("fleetlock %s: %q, want %q", text, got, want)
		}
	}
}

func TestOnly(t *testing.T) {
	for only, want := range map[string]string{
		"reboots": "",
		"units":   `f:2: only: "units" is unknown (write "reboots", or leave it out for a host that takes units too)`,
	} {
		raw := `{"host":"` + hostA + `","address":"10.0.0.1","endpoints":["https://10.0.0.1:7118"],` + "\n" + `"only":"` + only + `"}`
		c, err := parseConfig("f", []byte(raw), Defaults(DefaultPaths()))
		if want == "" && (err != nil || c.Only != only) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("only %q: %q, %v, want %q", only, c.Only, err, want)
		}
	}
}

// TestFleetLockToken: it is read without the line's end, and a guessable one is refused.
func TestFleetLockToken(t *testing.T) {
	if got, err := (FleetLock{}).Token(); got != "" || err != nil {
		t.Errorf("Token of none = %q, %v", got, err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if _, err := (FleetLock{TokenFile: file}).Token(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Token of no file = %v, want an error with its name", err)
	}
	for content, want := range map[string]string{
		"0123456789abcdef\n": "0123456789abcdef",
		"short\n":            "",
		"0123456789 abcdef":  "",
		"":                   "",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := FleetLock{TokenFile: file}.Token()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("Token of %q = %q, %v, want %q", content, got, err, want)
		}
	}
}

package members

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func goodConfig(p Paths) Config {
	c := Defaults(p)
	c.Host, c.Name, c.Address = hostA, "alpha", "10.0.0.1"
	c.Labels = map[string]string{"disk": "ssd"}
	c.Reboot.Sources = []RebootSource{{File: "/run/reboot-required"}, {Command: []string{"/x", "y"}, Yes: []int{1}, No: []int{0}, Timeout: Duration(time.Minute)}}
	c.Etcd.Member, c.Etcd.InitialState, c.Etcd.InitialCluster = true, "new", hostA+"=https://10.0.0.1:7119"
	c.Endpoints = []string{"https://10.0.0.1:7118"}
	return c
}

func TestConfigRoundTrip(t *testing.T) {
	p := Paths{Etc: t.TempDir(), Var: "/var/lib/flotilla"}
	want := goodConfig(p)
	if err := want.Save(p); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(p)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("LoadConfig(Save(c)) differs (-want +got):\n%s", d)
	}
	changed, err := SaveEndpoints(p, []string{"https://10.0.0.2:7118", "https://10.0.0.1:7118"})
	if err != nil || !changed {
		t.Errorf("SaveEndpoints = %v, %v, want true", changed, err)
	}
	if changed, err = SaveEndpoints(p, []string{"https://10.0.0.1:7118", "https://10.0.0.2:7118"}); err != nil || changed {
		t.Errorf("SaveEndpoints of the same = %v, %v, want false", changed, err)
	}
}

func TestConfigOfNoMember(t *testing.T) {
	p := Paths{Etc: "/nonexistent"}
	_, err := LoadConfig(p)
	want := "/nonexistent/flotilla.json: this host is not a member of a cluster (run 'flotilla init' on the first host, 'flotilla join' on the others)"
	if err == nil || err.Error() != want || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LoadConfig = %v, want %s", err, want)
	}
}

// TestConfigRefuses spoils a good file in one place each.
func TestConfigRefuses(t *testing.T) {
	good := `{
  "host": "` + hostA + `",
  "name": "alpha",
  "address": "10.0.0.1",
  "api_port": 7117,
  "etcd": {
    "member": true,
    "initial_state": "new",
    "client_port": 7118,
    "peer_port": 7119
  },
  "endpoints": ["https://10.0.0.1:7118"],
  "prefix": "/flotilla",
  "timing": {"ttl": "10s", "switch": "5s", "stop_budget": "3s"}
}
`
	const external = `"external_etcd": {"endpoints": ["https://10.0.0.9:2379"]}`
	if _, err := parseConfig("f", []byte(good), Defaults(DefaultPaths())); err != nil {
		t.Fatalf("parseConfig(good) = %v", err)
	}
	reboot := func(sources string) string {
		return "\"prefix\": \"/flotilla\",\n  \"reboot\": {\n    \"sources\": [\n      {\"file\": \"/run/reboot-required\"},\n      " + sources + "\n    ]\n  }"
	}
	tests := map[string]struct{ old, new, want string }{
		"comma missing":     {`7117,`, `7117`, `f:6: not JSON: invalid character '"' after object key:value pair (look for a missing or extra comma, quote or brace)`},
		"cut off":           {"\n}\n", "\n", "f:14: file ends in the middle (restore it, or run 'flotilla leave' and join again)"},
		"text after":        {"\n}\n", "\n}\nx", "f:15: text after the end of the configuration (remove it)"},
		"unknown name":      {`"api_port"`, `"apiport"`, "f:5: unknown name apiport (remove it, or mend its spelling)"},
		"unknown inside":    {`"member"`, `"membr"`, "f:7: unknown name membr (remove it, or mend its spelling)"},
		"text as number":    {`7117`, `"7117"`, "f:5: api_port: is a string, want a int (mend its value)"},
		"bad host":          {hostA, "abc", `f:2: host: "abc" is no machine id (copy it from /etc/machine-id)`},
		"bad address":       {`"10.0.0.1"`, `"alpha:1"`, `f:4: address: "alpha:1" is no IP address (write an address of this host that the others reach)`},
		"port too high":     {`7117`, `70000`, "f:5: api_port: 70000 is no port (write a number from 1 to 65535)"},
		"port twice":        {`7119`, `7118`, "f:10: etcd.peer_port: 7118 is etcd.client_port too (give each its own port)"},
		"bad duration":      {`"10s"`, `"10"`, `f:14: "10" is no duration (write it like "10s")`},
		"bad timing":        {`"10s"`, `"8s"`, "f:14: timing: switch + 100ms + stop budget + 10% of TTL must not exceed TTL: 5s + 100ms + 3s + 800ms = 8.9s is more than 8s (lengthen ttl, or shorten switch or stop_budget)"},
		"bad prefix":        {`"/flotilla"`, `"flotilla"`, `f:13: prefix: "flotilla" must begin with a slash and not end with one (write it like /flotilla)`},
		"bad state":         {`"new"`, `"old"`, `f:8: etcd.initial_state: "old" is unknown (write "new" or "existing")`},
		"no endpoints":      {`["https://10.0.0.1:7118"]`, `[]`, "f:12: endpoints: is empty (name at least one etcd, like https://10.0.0.1:7118)"},
		"endpoint no URL":   {`["https://10.0.0.1:7118"]`, `["10.0.0.1"]`, `f:12: endpoints: "10.0.0.1" is no URL of an etcd (write it like https://10.0.0.1:7118)`},
		"plain text":        {`["https://10.0.0.1:7118"]`, `["http://10.0.0.1:7118"]`, `f:12: endpoints: "http://10.0.0.1:7118" would be plain text over the network (use https)`},
		"source unknown":    {`"prefix": "/flotilla"`, reboot(`{"fiel": "/run/x"}`), "f:17: unknown name fiel (remove it, or mend its spelling)"},
		"source of nothing": {`"prefix": "/flotilla"`, reboot(`{}`), "f:17: reboot.sources.2: names 0 things to ask, not one (write one of file, command, update_engine, rpm_ostree, sysupdate, needs_restarting, older_than_days in each source)"},
		"source of two":     {`"prefix": "/flotilla"`, reboot(`{"file": "/x", "sysupdate": true}`), "f:17: reboot.sources.2: names 2 things to ask, not one (write one of file, command, update_engine, rpm_ostree, sysupdate, needs_restarting, older_than_days in each source)"},
		"source relative":   {`"prefix": "/flotilla"`, reboot(`{"file": "reboot-required"}`), `f:17: reboot.sources.2: "reboot-required" is no absolute path (write it like /run/reboot-required)`},
		"source no yes":     {`"prefix": "/flotilla"`, reboot(`{"command": ["/x"], "no": [1]}`), `f:17: reboot.sources.2: no exit status means yes (write "yes": [0] or another one)`},
		"source both":       {`"prefix": "/flotilla"`, reboot(`{"command": ["/x"], "yes": [0, 1], "no": [1]}`), "f:17: reboot.sources.2: 1 means both yes and no (decide)"},
		"source no status":  {`"prefix": "/flotilla"`, reboot(`{"command": ["/x"], "yes": [256]}`), "f:17: reboot.sources.2: 256 is no exit status (write numbers from 0 to 255)"},
		"source yes alone":  {`"prefix": "/flotilla"`, reboot(`{"sysupdate": true, "yes": [0]}`), "f:17: reboot.sources.2: yes, no, timeout and every belong to a command (remove them)"},
		"source days":       {`"prefix": "/flotilla"`, reboot(`{"older_than_days": -1}`), "f:17: reboot.sources.2: -1 is no number of days (write a number above 0)"},
		"source duration":   {`"prefix": "/flotilla"`, reboot(`{"command": ["/x"], "yes": [0], "timeout": "30"}`), `f:17: "30" is no duration (write it like "10s")`},
		"member and client": {`"prefix": "/flotilla"`, `"prefix": "/flotilla", ` + external, "f:13: external_etcd: a host is a member of our own etcd or uses another one, not both (remove one of them)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, tt.old, tt.new, 1)
			_, err := parseConfig("f", []byte(text), Defaults(DefaultPaths()))
			if err == nil || err.Error() != tt.want {
				t.Errorf("parseConfig =\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

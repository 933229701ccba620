package members

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"flotilla/cluster"
)

// The ports of a host. All of them speak mutual TLS only.
const (
	DefaultAPIPort    = 7117
	DefaultClientPort = 7118
	DefaultPeerPort   = 7119
	DefaultPrefix     = "/flotilla"
)

// Duration is a time.Duration that reads and writes as "10s".
type Duration time.Duration

// MarshalText writes the duration in Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration in Go's form.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Timing is cluster.Timing as the configuration file writes it.
type Timing struct {
	TTL        Duration `json:"ttl"`
	Switch     Duration `json:"switch"`
	StopBudget Duration `json:"stop_budget"`
}

// Cluster is the timing as the other rooms take it.
func (t Timing) Cluster() cluster.Timing {
	return cluster.Timing{TTL: time.Duration(t.TTL), Switch: time.Duration(t.Switch), StopBudget: time.Duration(t.StopBudget)}
}

// EtcdMember says whether and how this host runs a member of the cluster's own etcd.
type EtcdMember struct {
	Member         bool   `json:"member"`
	InitialCluster string `json:"initial_cluster,omitempty"` // name=peer URL,…
	InitialState   string `json:"initial_state,omitempty"`   // "new" or "existing"
	ClientPort     int    `json:"client_port"`
	PeerPort       int    `json:"peer_port"`
}

// ExternalEtcd is an etcd that existed before and is not ours to run.
type ExternalEtcd struct {
	Endpoints    []string `json:"endpoints"`
	CA           string   `json:"ca,omitempty"`   // file; "" = the system's
	Cert         string   `json:"cert,omitempty"` // file
	Key          string   `json:"key,omitempty"`  // file
	Username     string   `json:"username,omitempty"`
	PasswordFile string   `json:"password_file,omitempty"`
}

// Config is a host's configuration, /etc/flotilla/flotilla.json.
type Config struct {
	Host      string            `json:"host"`    // machine id
	Name      string            `json:"name"`    // host name, as lists show it
	Address   string            `json:"address"` // of this host, without port
	APIPort   int               `json:"api_port"`
	Etcd      EtcdMember        `json:"etcd"`
	Signers   []string          `json:"signers,omitempty"`   // API addresses of hosts with the CA's key
	Endpoints []string          `json:"endpoints,omitempty"` // client URLs of our own etcd
	External  *ExternalEtcd     `json:"external_etcd,omitempty"`
	Candidate bool              `json:"candidate,omitempty"` // may lead although it runs no member of our etcd
	Prefix    string            `json:"prefix"`
	Labels    map[string]string `json:"labels,omitempty"`
	Reserve   string            `json:"reserve,omitempty"` // memory that units may not have; see cluster.ParseReserve
	Only      string            `json:"only,omitempty"`    // OnlyReboots; "" = units too
	Reboot    RebootConfig      `json:"reboot,omitzero"`
	Timing    Timing            `json:"timing"`
	PKI       PKI               `json:"pki"`
	Data      string            `json:"data"`
}

// Defaults is the configuration of a host that said nothing.
func Defaults(p Paths) Config {
	t := cluster.DefaultTiming()
	return Config{
		APIPort: DefaultAPIPort,
		Etcd:    EtcdMember{ClientPort: DefaultClientPort, PeerPort: DefaultPeerPort},
		Prefix:  DefaultPrefix,
		Timing:  Timing{TTL: Duration(t.TTL), Switch: Duration(t.Switch), StopBudget: Duration(t.StopBudget)},
		PKI:     p.PKI(),
		Data:    p.Var,
	}
}

// LoadConfig reads a configuration file strictly: unknown names, wrong types and
// impossible values are errors with file, line and remedy. What the file leaves
// out has the values of Defaults.
func LoadConfig(p Paths) (Config, error) {
	file := p.Config()
	raw, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, &Problem{File: file, What: "this host is not a member of a cluster", Hint: "run 'flotilla init' on the first host, 'flotilla join' on the others", Err: err}
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return parseConfig(file, raw, Defaults(p))
}

// parseConfig reads a configuration's text over the defaults.
func parseConfig(file string, raw []byte, c Config) (Config, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return Config{}, decodeProblem(file, raw, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Config{}, &Problem{File: file, Line: lineAt(raw, d.InputOffset()), What: "text after the end of the configuration", Hint: "remove it"}
	}
	if field, what, hint := c.check(); what != "" {
		return Config{}, &Problem{File: file, Line: lineOf(raw, field), What: field + ": " + what, Hint: hint}
	}
	return c, nil
}

// These find a name or value in a message of the decoder, which carries it in no other way.
var (
	unknownField = regexp.MustCompile(`unknown field "(.*)"`)
	badDuration  = regexp.MustCompile(`duration "(.*)"`)
)

// decodeProblem finds the line of a decoding error.
func decodeProblem(file string, raw []byte, err error) error {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &Problem{File: file, Line: lineAt(raw, syntax.Offset), What: "not JSON: " + syntax.Error(), Hint: "look for a missing or extra comma, quote or brace", Err: err}
	case errors.As(err, &typ):
		return &Problem{File: file, Line: lineAt(raw, typ.Offset), What: fmt.Sprintf("%s: is a %s, want a %s", typ.Field, typ.Value, typ.Type), Hint: "mend its value", Err: err}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &Problem{File: file, Line: lineAt(raw, int64(len(raw))), What: "file ends in the middle", Hint: "restore it, or run 'flotilla leave' and join again", Err: err}
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		return &Problem{File: file, Line: lineOf(raw, m[1]), What: "unknown name " + m[1], Hint: "remove it, or mend its spelling", Err: err}
	}
	if m := badDuration.FindStringSubmatch(err.Error()); m != nil {
		return &Problem{File: file, Line: lineOf(raw, m[1]), What: fmt.Sprintf("%q is no duration", m[1]), Hint: `write it like "10s"`, Err: err}
	}
	return &Problem{File: file, What: err.Error(), Hint: "mend the file", Err: err}
}

// lineAt is the line of a byte.
func lineAt(raw []byte, offset int64) int {
	return 1 + bytes.Count(raw[:min(max(offset-1, 0), int64(len(raw)))], []byte("\n"))
}

// lineOf is the line of a (possibly dotted) name, in which a number is a place in an array; 0 if the file does not have it.
func lineOf(raw []byte, name string) int {
	at, before := 0, ""
	for part := range strings.SplitSeq(name, ".") {
		if n, err := strconv.Atoi(part); err == nil && before != "" { // the place in an array, which begins here
			if line := lineOfElement(raw[at:], before, n); line > 0 {
				return lineAt(raw, int64(at)+1) + line - 1
			}
			break
		}
		before = part
		i := bytes.Index(raw[at:], []byte(`"`+part+`"`))
		if i < 0 {
			return 0
		}
		at += i
	}
	return lineAt(raw, int64(at)+1)
}

// check finds the first value that cannot work.
func (c Config) check() (field, what, hint string) {
	if _, err := cluster.ParseHostID(c.Host); err != nil {
		return "host", fmt.Sprintf("%q is no machine id", c.Host), "copy it from /etc/machine-id"
	}
	if net.ParseIP(c.Address) == nil {
		return "address", fmt.Sprintf("%q is no IP address", c.Address), "write an address of this host that the others reach"
	}
	ports := []struct {
		name string
		port int
	}{{"api_port", c.APIPort}, {"etcd.client_port", c.Etcd.ClientPort}, {"etcd.peer_port", c.Etcd.PeerPort}}
	for i, p := range ports {
		if p.port < 1 || p.port > 65535 {
			return p.name, fmt.Sprintf("%d is no port", p.port), "write a number from 1 to 65535"
		}
		for _, q := range ports[:i] {
			if p.port == q.port {
				return p.name, fmt.Sprintf("%d is %s too", p.port, q.name), "give each its own port"
			}
		}
	}
	if err := c.Timing.Cluster().Check(); err != nil {
		return "timing", strings.TrimPrefix(err.Error(), "timing: "), "lengthen ttl, or shorten switch or stop_budget"
	}
	if _, err := cluster.ParseReserve(c.Reserve); err != nil {
		return "reserve", err.Error(), "write it like \"2G\" or \"5%\""
	}
	if !strings.HasPrefix(c.Prefix, "/") || strings.HasSuffix(c.Prefix, "/") {
		return "prefix", fmt.Sprintf("%q must begin with a slash and not end with one", c.Prefix), "write it like " + DefaultPrefix
	}
	if field, what, hint := c.checkOnly(); what != "" {
		return field, what, hint
	}
	if field, what, hint := c.checkReboot(); what != "" {
		return field, what, hint
	}
	return c.checkEtcd()
}

// checkEtcd is the part of check about the store.
func (c Config) checkEtcd() (field, what, hint string) {
	if c.External != nil {
		if c.Etcd.Member {
			return "external_etcd", "a host is a member of our own etcd or uses another one, not both", "remove one of them"
		}
		return checkEndpoints("external_etcd.endpoints", c.External.Endpoints)
	}
	if c.Etcd.Member && !slices.Contains([]string{"new", "existing"}, c.Etcd.InitialState) {
		return "etcd.initial_state", fmt.Sprintf("%q is unknown", c.Etcd.InitialState), `write "new" or "existing"`
	}
	return checkEndpoints("endpoints", c.Endpoints)
}

func checkEndpoints(field string, eps []string) (string, string, string) {
	if len(eps) == 0 {
		return field, "is empty", "name at least one etcd, like https://10.0.0.1:7118"
	}
	for _, e := range eps {
		u, err := url.Parse(e)
		if err != nil || u.Hostname() == "" || u.Port() == "" || u.Scheme != "https" && u.Scheme != "http" {
			return field, fmt.Sprintf("%q is no URL of an etcd", e), "write it like https://10.0.0.1:7118"
		}
		if u.Scheme == "http" && !loopback(u.Hostname()) {
			return field, fmt.Sprintf("%q would be plain text over the network", e), "use https"
		}
	}
	return "", "", ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Save writes the configuration file atomically.
func (c Config) Save(p Paths) error {
	if field, what, hint := c.check(); what != "" {
		return &Problem{What: field + ": " + what, Hint: hint}
	}
	raw, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return writeFile(p.Config(), append(raw, '\n'), modePublic)
}

// SaveEndpoints keeps the etcd members that a host knows in its configuration file, so
// that it finds the cluster after a boot whichever of them are away. It says whether anything changed.
func SaveEndpoints(p Paths, endpoints []string) (bool, error) {
	c, err := LoadConfig(p)
	if err != nil {
		return false, err
	}
	endpoints = slices.Sorted(slices.Values(endpoints))
	if len(endpoints) == 0 || c.External != nil || slices.Equal(c.Endpoints, endpoints) {
		return false, nil
	}
	c.Endpoints = endpoints
	return true, c.Save(p)
}

// EtcdMemberConfig is how this host's etcd member runs.
func (c Config) EtcdMemberConfig() EtcdConfig {
	return EtcdConfig{
		Name:           c.Host,
		Address:        c.Address,
		ClientPort:     c.Etcd.ClientPort,
		PeerPort:       c.Etcd.PeerPort,
		Dir:            Paths{Var: c.Data}.EtcdData(),
		InitialCluster: c.Etcd.InitialCluster,
		Existing:       c.Etcd.InitialState == "existing",
		PKI:            c.PKI,
		Endpoints:      c.Endpoints,
	}
}

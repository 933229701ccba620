package members

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"flotilla/cluster"
)

func TestOnlyAddress(t *testing.T) {
	addrs := func(texts ...string) []netip.Addr {
		var out []netip.Addr
		for _, s := range texts {
			out = append(out, netip.MustParseAddr(s))
		}
		return out
	}
	const hint = " (say which address the other hosts reach: --address)"
	tests := map[string]struct {
		list []iface
		want string // address or error
	}{
		"one":             {[]iface{{"eth0", addrs("10.0.0.1")}}, "10.0.0.1"},
		"IPv4 first":      {[]iface{{"eth0", addrs("fe80::1", "2001:db8::1", "10.0.0.1")}}, "10.0.0.1"},
		"IPv6 only":       {[]iface{{"eth0", addrs("fe80::1", "2001:db8::1")}}, "2001:db8::1"},
		"bridges aside":   {[]iface{{"docker0", addrs("172.17.0.1")}, {"eth0", addrs("10.0.0.1")}, {"br-1a2b", addrs("172.18.0.1")}}, "10.0.0.1"},
		"none":            {[]iface{{"eth0", addrs("fe80::1")}}, "this host has no address beyond loopback" + hint},
		"link-local only": {[]iface{{"eth0", addrs("169.254.1.1")}}, "this host has no address beyond loopback" + hint},
		"two":             {[]iface{{"eth0", addrs("10.0.0.1")}, {"eth1", addrs("10.1.0.1")}}, "this host has no default route and several addresses: 10.0.0.1 on eth0, 10.1.0.1 on eth1" + hint},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := onlyAddress(tt.list)
			got := a.String()
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("onlyAddress = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMachineID(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	mustWrite(t, good, hostA+"\n", 0o644)
	mustWrite(t, bad, "uninitialized\n", 0o644)
	if id, err := MachineID(good); string(id) != hostA || err != nil {
		t.Errorf("MachineID(good) = %v, %v", id, err)
	}
	want := bad + ": this host has no valid machine id (remove the file and run systemd-machine-id-setup)"
	if _, err := MachineID(bad); err == nil || err.Error() != want {
		t.Errorf("MachineID(bad) = %v, want %s", err, want)
	}
	if _, err := MachineID(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("MachineID(none) = %v, want ErrNotExist", err)
	}
}

func initOptions(t *testing.T) InitOptions {
	return InitOptions{Paths: testPaths(t.TempDir()), Host: hostA, Name: "alpha", Address: "10.0.0.1", Now: time.Now()}
}

func TestInit(t *testing.T) {
	o := initOptions(t)
	made, err := Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{ServiceEtcd, ServiceAgent}, made.Services); d != "" {
		t.Errorf("services (-want +got):\n%s", d)
	}
	got, err := LoadConfig(o.Paths)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(made.Config, got); d != "" {
		t.Errorf("written configuration differs (-made +read):\n%s", d)
	}
	if _, err := LoadIdentity(got.PKI, time.Now()); err != nil {
		t.Errorf("LoadIdentity = %v", err)
	}
	if _, err := Init(t.Context(), o); !errors.Is(err, ErrMember) {
		t.Errorf("second Init = %v, want ErrMember", err)
	}
}

func TestInitAfterInterruption(t *testing.T) {
	o := initOptions(t)
	if _, err := Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ca := mustRead(t, o.Paths.PKI().CA)
	for _, gone := range []string{o.Paths.Config(), o.Paths.PKI().Cert} {
		if err := os.Remove(gone); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Init(t.Context(), o); err != nil {
		t.Errorf("Init after an interrupted one = %v", err)
	}
	if mustRead(t, o.Paths.PKI().CA) != ca {
		t.Error("Init after an interrupted one made another CA")
	}
}

func TestInitRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*InitOptions)
		want   string
	}{
		"old data":     {func(o *InitOptions) { os.MkdirAll(filepath.Join(o.Paths.EtcdData(), "member"), 0o700) }, "VAR/etcd/member: holds the etcd of an earlier cluster ('flotilla leave --force' moves it aside; or restore ETC/flotilla.json)"},
		"address":      {func(o *InitOptions) { o.Address = "10.0.0.1:7117" }, `address "10.0.0.1:7117" is no IP address of a host (write it like --address 10.0.0.1, without port)`},
		"any address":  {func(o *InitOptions) { o.Address = "0.0.0.0" }, `address "0.0.0.0" is no IP address of a host (write it like --address 10.0.0.1, without port)`},
		"prefix":       {func(o *InitOptions) { o.Prefix = "x/" }, `prefix: "x/" must begin with a slash and not end with one (write it like /flotilla)`},
		"no endpoints": {func(o *InitOptions) { o.External = &ExternalEtcd{} }, "external_etcd.endpoints: is empty (name at least one etcd, like https://10.0.0.1:7118)"},
		"plain text":   {func(o *InitOptions) { o.External = &ExternalEtcd{Endpoints: []string{"http://10.0.0.9:2379"}} }, `external_etcd.endpoints: "http://10.0.0.9:2379" would be plain text over the network (use https)`},
		"name":         {func(o *InitOptions) { o.Name = "al pha" }, `"al pha" is no name of a host (--name gives it one of letters, digits and . _ -)`},
		"label":        {func(o *InitOptions) { o.Labels = map[string]string{"zone": "eu", "a b": "c"} }, `label "a b": is no name of a label (a key is made of letters, digits and _ . - /, at most 128, and does not end in -)`},
		"ports":        {func(o *InitOptions) { o.Ports.Peer = 7117 }, "etcd.peer_port: 7117 is api_port too (give each its own port)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := initOptions(t)
			tt.change(&o)
			_, err := Init(t.Context(), o)
			if err == nil {
				t.Fatal("Init = nil, want an error")
			}
			if name == "label" || name == "name" {
				jo := JoinOptions{Paths: o.Paths, Name: o.Name, Labels: o.Labels}
				if _, err := Join(t.Context(), jo); text(err) != tt.want {
					t.Errorf("Join = %v, want the same refusal", err)
				}
			}
			if got := strings.NewReplacer(o.Paths.Etc, "ETC", o.Paths.Var, "VAR").Replace(err.Error()); got != tt.want {
				t.Errorf("Init =\n%s\nwant\n%s", got, tt.want)
			}
			if is, err := exists(o.Paths.Etc); is || err != nil {
				t.Errorf("refused Init wrote %s (%v)", o.Paths.Etc, err)
			}
		})
	}
}

func TestCleanup(t *testing.T) {
	o := initOptions(t)
	if _, err := Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, filepath.Join(o.Paths.EtcdData(), "member", "x"), "data", 0o600)
	mustWrite(t, filepath.Join(o.Paths.Var, "view.json"), "{}", 0o600)
	aside, err := Cleanup(o.Paths, o.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"flotilla.json", "pki/ca.key", "pki/host.crt", "etcd/member/x", "view.json"} {
		if is, err := exists(filepath.Join(aside, f)); !is || err != nil {
			t.Errorf("%s in %s: %v, %v, want true", f, aside, is, err)
		}
	}
	if _, err := Init(t.Context(), o); err != nil {
		t.Errorf("Init after Cleanup = %v", err)
	}
	// What cannot be moved leaves the configuration, so that leave can be repeated.
	mustWrite(t, filepath.Join(aside, "pki", "x"), "in the way", 0o600)
	if _, err := Cleanup(o.Paths, o.Now); err == nil {
		t.Error("Cleanup onto an earlier one of the same instant: no error")
	}
	if is, err := exists(o.Paths.Config()); !is || err != nil {
		t.Errorf("configuration after a Cleanup that failed = %v, %v, want it there", is, err)
	}
	if _, err := Cleanup(testPaths(t.TempDir()), o.Now); err != nil {
		t.Errorf("Cleanup of no member = %v", err)
	}
}

// TestCleanupAgain: wherever a Cleanup ended early, another one moves what is left.
func TestCleanupAgain(t *testing.T) {
	for cut := range 6 {
		o := initOptions(t)
		if _, err := Init(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, filepath.Join(o.Paths.EtcdData(), "member", "x"), "data", 0o600)
		mustWrite(t, filepath.Join(o.Paths.Var, "view.json"), "{}", 0o600)
		mustWrite(t, filepath.Join(o.Paths.Var, "blob", "x"), "data", 0o600)
		for _, moved := range append(traces(o.Paths), o.Paths.Config())[:cut] {
			if err := os.RemoveAll(moved); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := CleanupBegan(o.Paths), cut >= 4; got != want {
			t.Errorf("after %d steps CleanupBegan = %v, want %v", cut, got, want)
		}
		if _, err := Cleanup(o.Paths, o.Now); err != nil || Traces(o.Paths) {
			t.Errorf("Cleanup after one that ended after %d steps = %v, traces: %v", cut, err, Traces(o.Paths))
		}
		if _, err := Init(t.Context(), o); err != nil {
			t.Errorf("Init after that = %v", err)
		}
	}
}

// TestHostNameIsChecked: the cluster does not rely on what the joining host checked.
func TestHostNameIsChecked(t *testing.T) {
	_, err := JoinRequest{Host: hostA, Name: "a b"}.check()
	if got, want := text(err), `host name "a b" is none`; got != want {
		t.Errorf("check of a bad name = %q, want %q", got, want)
	}
}

// fakeEtcd is a membership in memory.
type fakeEtcd struct {
	members []Member
	log     []string
	add     error
	remove  func(f *fakeEtcd, id uint64) error // nil = it says that it did
}

func (f *fakeEtcd) Members(context.Context) ([]Member, error) { return slices.Clone(f.members), nil }

func (f *fakeEtcd) AddLearner(_ context.Context, peer string) (uint64, error) {
	f.log = append(f.log, "add "+peer)
	return 99, f.add
}

func (f *fakeEtcd) RemoveMember(_ context.Context, id uint64) error {
	f.log = append(f.log, "remove "+string(rune('0'+id%10)))
	if f.remove != nil {
		return f.remove(f, id)
	}
	return nil
}

// racingTokens knows every token and consumes none: somebody else was faster.
type racingTokens struct{ hash string }

func (r racingTokens) TokenHash(context.Context, string) (string, error) { return r.hash, nil }

func (r racingTokens) ConsumeToken(context.Context, string, string) (bool, error) { return false, nil }

// TestHandle tries what is granted, in which role, and what is left in etcd by a refusal.
func TestHandle(t *testing.T) {
	o := initOptions(t)
	made, err := Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ca := mustCA(t, made.Config.PKI, o.Now)
	voter := func(id uint64, name, addr string, healthy bool) Member {
		return Member{ID: id, Name: name, PeerURL: "https://" + addr + ":7119", ClientURL: "https://" + addr + ":7118", Healthy: healthy}
	}
	one, two, three := voter(1, hostA, "10.0.0.1", true), voter(2, strings.Repeat("c", 32), "10.0.0.3", true), voter(3, strings.Repeat("d", 32), "10.0.0.4", true)
	const add = "add https://10.0.0.2:7119"
	tests := map[string]struct {
		members []Member
		change  func(*JoinRequest, *Joiner)
		role    string
		refused string
		log     []string
	}{
		"second":              {[]Member{one}, nil, RoleMember, "", []string{add}},
		"third":               {[]Member{one, two}, nil, RoleMember, "", []string{add}},
		"fourth":              {[]Member{one, two, three}, nil, RoleClient, "", nil},
		"wants no etcd":       {[]Member{one}, func(r *JoinRequest, _ *Joiner) { r.WantEtcd = false }, RoleClient, "", nil},
		"came back":           {[]Member{one, two, voter(4, hostB, "10.0.0.2", false)}, nil, RoleMember, "", []string{"remove 4", add}},
		"came back elsewhere": {[]Member{one, two, voter(4, hostB, "10.0.0.9", false)}, nil, RoleMember, "", []string{"remove 4", add}},
		"never started":       {[]Member{one, {ID: 5, PeerURL: "https://10.0.0.2:7119", Learner: true}}, nil, RoleMember, "", []string{"remove 5", add}},
		"still runs":          {[]Member{one, two, voter(4, hostB, "10.0.0.2", true)}, nil, "", "the etcd member of host " + hostB + " at https://10.0.0.2:7119 is running (run 'flotilla leave' there first)", nil},
		"token raced":         {[]Member{one}, nil, "", "RACED", []string{add, "remove 9"}},
		"alive": {[]Member{one}, func(_ *JoinRequest, j *Joiner) {
			j.Alive = func(context.Context, cluster.HostID) (bool, error) { return true, nil }
		}, "", "a host with machine id " + hostB + " is alive in the cluster (if it is this one, stop flotilla-agent here first; if this machine is a copy, remove /etc/machine-id and run systemd-machine-id-setup)", nil},
		"removed": {[]Member{one}, func(_ *JoinRequest, j *Joiner) {
			j.Removed = func(context.Context, cluster.HostID) (bool, error) { return true, nil }
		}, "", "host " + hostB + " was removed from the cluster and may not join (flotilla host restore " + cluster.HostID(hostB).Short() + " takes it back)", nil},
		"version": {[]Member{one}, func(_ *JoinRequest, j *Joiner) {
			j.CheckVersion = func(v string) error { return errors.New("version " + v + " is too old") }
		}, "", "version 0.1.0 is too old (install the cluster's version of flotilla here)", nil},
		"bad id":     {[]Member{one}, func(r *JoinRequest, _ *Joiner) { r.Host = "x" }, "", `host "x": not a machine id: want 32 hex digits, as in /etc/machine-id`, nil},
		"no address": {[]Member{one}, func(r *JoinRequest, _ *Joiner) { r.Addresses = nil }, "", "a host has 1 to 16 addresses, not 0", nil},
		"bad port":   {[]Member{one}, func(r *JoinRequest, _ *Joiner) { r.Peer = 0 }, "", "an etcd member needs its client and peer port", nil},
		"bad csr":    {[]Member{one}, func(r *JoinRequest, _ *Joiner) { r.CSR = "x" }, "", "signing request: not a certificate request in PEM", nil},
		"store away": {[]Member{one}, func(_ *JoinRequest, j *Joiner) {
			j.StoreID = func(context.Context) (string, error) { return "", errors.New("no leader") }
		}, "", "read the store's identity: no leader", []string{add, "remove 9"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			key, err := NewKey()
			if err != nil {
				t.Fatal(err)
			}
			csr, err := NewCSR(key, hostB)
			if err != nil {
				t.Fatal(err)
			}
			tok := mustToken(t, ca.Fingerprint(), o.Now.Add(time.Hour))
			etcd := &fakeEtcd{members: tt.members}
			tokens := &testTokens{hashes: map[string]string{tok.ID: tok.Hash()}}
			j := &Joiner{
				Config: made.Config, Tokens: tokens, Etcd: etcd, Now: time.Now, Log: slog.New(slog.DiscardHandler),
				StoreID: func(context.Context) (string, error) { return "5707e", nil },
			}
			if name == "token raced" {
				j.Tokens = racingTokens{tok.Hash()}
			}
			req := JoinRequest{Token: tok.Text(), Host: hostB, Name: "beta", Addresses: []string{"10.0.0.2"}, CSR: string(csr), Version: "0.1.0", WantEtcd: true, Client: 7118, Peer: 7119}
			if tt.change != nil {
				tt.change(&req, j)
			}
			res, err := j.Handle(t.Context(), req, "10.0.0.2:1")
			want := strings.ReplaceAll(tt.refused, "RACED", tok.String()+" is not known: it was used, withdrawn or never made here (make a new one with 'flotilla token' on an etcd member)")
			if got := text(err); got != want || res.Role != tt.role {
				t.Errorf("Handle = %q, %s, want %q, %s", res.Role, got, tt.role, want)
			}
			if d := cmp.Diff(tt.log, etcd.log); d != "" {
				t.Errorf("etcd (-want +got):\n%s", d)
			}
			if (res.CAKey != "") != (tt.role == RoleMember) {
				t.Errorf("CA key goes to a %q: %v", tt.role, res.CAKey != "")
			}
			if left := len(tokens.hashes) == 1; left != (err != nil) && name != "token raced" {
				t.Errorf("token left: %v after %v", left, err)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestJoinExternal hands the access to an etcd that is not ours to the next host. The first
// hosts may lead, because no host runs an etcd member of ours.
func TestJoinExternal(t *testing.T) {
	o := initOptions(t)
	password := filepath.Join(t.TempDir(), "password")
	mustWrite(t, password, "secret", 0o600)
	o.Address = "127.0.0.1"
	o.External = &ExternalEtcd{Endpoints: []string{"https://10.0.0.9:2379"}, Username: "fleet", PasswordFile: password}
	made, err := Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	tokens := &testTokens{hashes: map[string]string{}}
	one := &machine{made: made}
	one.made.Config.Endpoints = []string{"https://127.0.0.1:1"} // never dialled here
	one.serve(t, tokens)
	hosts := 1
	one.joiner.Etcd, one.joiner.Hosts = nil, func(context.Context) (int, error) { return hosts, nil }
	two := mustJoin(t, joinOptions(t, 2, one.api, tokens.mint(t, mustCA(t, made.Config.PKI, o.Now).Fingerprint())))
	ext := two.made.Config.External
	if ext == nil || ext.Username != "fleet" || mustRead(t, ext.PasswordFile) != "secret" || two.made.Config.Etcd.Member {
		t.Errorf("joined host = %+v, want a client of the external etcd", two.made.Config)
	}
	if fi, err := os.Stat(ext.PasswordFile); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode of the password = %v, %v, want 0600", fi, err)
	}
	hosts = MaxCandidates
	six := mustJoin(t, joinOptions(t, 6, one.api, tokens.mint(t, mustCA(t, made.Config.PKI, o.Now).Fingerprint())))
	for _, c := range []struct {
		who  string
		got  bool
		want bool
	}{{"first", made.Config.Candidate, true}, {"second", two.made.Config.Candidate, true}, {"sixth", six.made.Config.Candidate, false}} {
		if c.got != c.want {
			t.Errorf("%s host may lead = %v, want %v", c.who, c.got, c.want)
		}
	}
	testRenewExternal(t, one, two, six)
}

// testRenewExternal: no endpoint tells a host beside a foreign etcd who has the CA's key.
func testRenewExternal(t *testing.T, one, two, six *machine) {
	t.Helper()
	for _, m := range []struct {
		who  string
		host *machine
		can  bool
	}{{"second", two, true}, {"sixth", six, false}} {
		if can, err := CanSign(m.host.made.Config); can != m.can || err != nil {
			t.Errorf("%s host has the CA's key: %v, %v, want %v", m.who, can, err, m.can)
		}
	}
	alone := six.made.Config
	alone.Signers = nil
	for name, opt := range map[string]RenewOptions{
		"through whom it joined": {Config: six.made.Config},
		"leader":                 {Config: alone, Leader: func(context.Context) string { return one.api }},
	} {
		six.age(t, mustCA(t, one.made.Config.PKI, time.Now()))
		id, err := LoadIdentity(six.made.Config.PKI, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		opt.Identity, opt.Now = id, time.Now()
		if did, err := Renew(t.Context(), opt); !did || err != nil {
			t.Errorf("%s: Renew = %v, %v, want true", name, did, err)
		}
	}
}

func TestLeaveRefuses(t *testing.T) {
	m := func(id uint64, name string, healthy bool) Member {
		return Member{ID: id, Name: name, Healthy: healthy}
	}
	tests := map[string]struct {
		members []Member
		want    string
		log     []string
	}{
		"last":      {[]Member{m(1, "a", true)}, "this is the last etcd member: the cluster ends with it ('flotilla leave --force' ends it and moves its data aside)", nil},
		"no quorum": {[]Member{m(1, "a", true), m(2, "b", true), m(3, "c", false)}, "without it 1 of 2 etcd members are well, fewer than a majority (start the other etcd members first; see 'flotilla status')", nil},
		"dead one":  {[]Member{m(1, "a", false), m(2, "b", true), m(3, "c", true)}, "", []string{"remove 1"}},
		"client":    {[]Member{m(2, "b", true)}, "", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			etcd := &fakeEtcd{members: tt.members}
			if got := text(Leave(t.Context(), etcd, "a")); got != tt.want {
				t.Errorf("Leave = %s, want %s", got, tt.want)
			}
			if d := cmp.Diff(tt.log, etcd.log); d != "" {
				t.Errorf("etcd (-want +got):\n%s", d)
			}
		})
	}
}

// TestLeaveRepeats: a member that is asked to go may stop before it has answered, and etcd may want
// its members connected for longer.
func TestLeaveRepeats(t *testing.T) {
	stopped := errors.New("etcdserver: server stopped")
	gone := func(f *fakeEtcd, id uint64) error {
		f.members = slices.DeleteFunc(f.members, func(m Member) bool { return m.ID == id })
		return stopped
	}
	for name, tt := range map[string]struct {
		remove func(*fakeEtcd, uint64) error
		want   error
		tries  int
	}{
		"answer lost":      {gone, nil, 1},
		"answers the next": {func(f *fakeEtcd, _ uint64) error { f.remove = nil; return stopped }, nil, 2},
		"too young":        {func(f *fakeEtcd, _ uint64) error { f.remove = gone; return ErrQuorum }, nil, 2},
		"never":            {func(*fakeEtcd, uint64) error { return stopped }, stopped, 15},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				etcd := &fakeEtcd{remove: tt.remove, members: []Member{{ID: 1, Name: "a"}, {ID: 2, Name: "b", Healthy: true}, {ID: 3, Name: "c", Healthy: true}}}
				if err := Leave(t.Context(), etcd, "a"); !errors.Is(err, tt.want) || len(etcd.log) < tt.tries || err == nil && len(etcd.log) > tt.tries {
					t.Errorf("Leave = %v after %v, want %v after %d tries", err, etcd.log, tt.want, tt.tries)
				}
			})
		})
	}
}

// TestRejoin: a host that left is taken back when all else is granted; if that fails, nothing is.
func TestRejoin(t *testing.T) {
	o := initOptions(t)
	made, err := Init(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ca := mustCA(t, made.Config.PKI, o.Now)
	for name, fail := range map[string]error{"": nil, "take the host back: store away": errors.New("store away")} {
		tok := mustToken(t, ca.Fingerprint(), o.Now.Add(time.Hour))
		tokens := &testTokens{hashes: map[string]string{tok.ID: tok.Hash()}}
		var asked []cluster.HostID
		j := &Joiner{
			Config: made.Config, Tokens: tokens, Now: func() time.Time { return o.Now }, Log: slog.New(slog.DiscardHandler),
			Etcd:    &fakeEtcd{members: []Member{{ID: 1, Name: hostA, Healthy: true}}},
			StoreID: func(context.Context) (string, error) { return "5707e", nil },
			Rejoin:  func(_ context.Context, id cluster.HostID) error { asked = append(asked, id); return fail },
		}
		key, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		csr, err := NewCSR(key, hostB)
		if err != nil {
			t.Fatal(err)
		}
		_, err = j.Handle(t.Context(), JoinRequest{Token: tok.Text(), Host: hostB, Name: "b", Addresses: []string{"10.0.0.2"}, CSR: string(csr), Version: "0.1.0"}, "")
		if text(err) != name || !slices.Equal(asked, []cluster.HostID{hostB}) || (len(tokens.hashes) == 0) != (fail == nil) {
			t.Errorf("Handle = %v, took back %v, tokens left %d, want error %q", err, asked, len(tokens.hashes), name)
		}
	}
}

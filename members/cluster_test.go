package members

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"flotilla/cluster"
)

// etcdEnv makes this test binary an etcd member with the configuration in a folder, so
// that a test can kill it.
const etcdEnv = "FLOTILLA_TEST_ETCD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(etcdEnv); dir != "" {
		os.Exit(runMember(dir))
	}
	os.Exit(m.Run())
}

func runMember(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := LoadConfig(testPaths(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ec := c.EtcdMemberConfig()
	ec.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	err = RunEtcd(ctx, ec)
	if errors.Is(err, ErrRemoved) {
		return 78
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func testPaths(dir string) Paths {
	return Paths{Etc: filepath.Join(dir, "etc"), Var: filepath.Join(dir, "var")}
}

// testTokens keeps tokens in memory.
type testTokens struct {
	mu     sync.Mutex
	hashes map[string]string
}

func (s *testTokens) TokenHash(_ context.Context, id string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hashes[id], nil
}

func (s *testTokens) ConsumeToken(_ context.Context, id, hash string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ok := s.hashes[id] == hash
	delete(s.hashes, id)
	return ok, nil
}

// mint makes and stores a token.
func (s *testTokens) mint(t *testing.T, ca Fingerprint) string {
	t.Helper()
	tok := mustToken(t, ca, time.Now().Add(time.Hour))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hashes[tok.ID] = tok.Hash()
	return tok.Text()
}

// machine is one host of a test: its folder, its etcd member as a process, and its API.
type machine struct {
	dir    string
	id     cluster.HostID
	made   Made
	etcd   *exec.Cmd
	api    string
	joiner *Joiner
	cli    *clientv3.Client
}

// freePorts finds ports that nobody listens on.
func freePorts(t *testing.T) Ports {
	t.Helper()
	var got [3]int
	for i := range got {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		got[i] = l.Addr().(*net.TCPAddr).Port
	}
	return Ports{API: got[0], Client: got[1], Peer: got[2]}
}

func hostID(n int) cluster.HostID { return cluster.HostID(fmt.Sprintf("%032x", n)) }

// startEtcd runs the machine's etcd member as a process of its own.
func (m *machine) startEtcd(t *testing.T) {
	t.Helper()
	m.etcd = exec.Command(os.Args[0])
	m.etcd.Env = append(os.Environ(), etcdEnv+"="+m.dir)
	m.etcd.Stderr = &testWriter{t: t, prefix: string(m.id[28:]) + ": "}
	if err := m.etcd.Start(); err != nil {
		t.Fatal(err)
	}
	cmd := m.etcd
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// kill ends the machine's etcd member without a word.
func (m *machine) kill(t *testing.T) {
	t.Helper()
	if err := m.etcd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.etcd.Wait()
}

type testWriter struct {
	t      *testing.T
	prefix string
}

func (w *testWriter) Write(b []byte) (int, error) {
	w.t.Log(w.prefix + strings.TrimSpace(string(b)))
	return len(b), nil
}

// serve starts the machine's API with its Joiner.
func (m *machine) serve(t *testing.T, tokens Tokens) {
	t.Helper()
	id, err := LoadIdentity(m.made.Config.PKI, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if m.cli, err = DialEtcd(m.made.Config, id, nil); err != nil {
		t.Fatal(err)
	}
	m.joiner = &Joiner{
		Config: m.made.Config, Tokens: tokens, Etcd: NewEtcdMembers(m.cli),
		StoreID: func(context.Context) (string, error) { return "5707e", nil },
		Now:     time.Now, Log: slog.New(slog.DiscardHandler),
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", id.ServerTLS())
	if err != nil {
		t.Fatal(err)
	}
	m.api = l.Addr().String()
	srv := &http.Server{Handler: m.joiner.Handler(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	done := make(chan struct{})
	go func() { srv.Serve(l); close(done) }()
	t.Cleanup(func() { srv.Close(); <-done; m.cli.Close() })
}

// firstMachine is an initialized host with a running etcd and API.
func firstMachine(t *testing.T, tokens Tokens) *machine {
	t.Helper()
	m := &machine{dir: t.TempDir(), id: hostID(1)}
	var err error
	m.made, err = Init(t.Context(), InitOptions{Paths: testPaths(m.dir), Host: m.id, Name: "one", Address: "127.0.0.1", Ports: freePorts(t), Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	m.startEtcd(t)
	m.serve(t, tokens)
	m.awaitVoter(t, m.cli)
	return m
}

func (m *machine) awaitVoter(t *testing.T, cli *clientv3.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := NewEtcdMembers(cli).AwaitVoter(ctx, string(m.id), nil); err != nil {
		t.Fatal(err)
	}
}

// joinOptions are those of the n-th host.
func joinOptions(t *testing.T, n int, server, token string) JoinOptions {
	return JoinOptions{
		Paths: testPaths(t.TempDir()), Server: server, Token: token, Host: hostID(n), Name: fmt.Sprintf("host%d", n),
		Address: "127.0.0.1", Ports: freePorts(t), Version: "0.1.0", Patience: 30 * time.Second, Now: time.Now(),
	}
}

// mustJoin joins the n-th host and starts its etcd member, if it is to have one.
func mustJoin(t *testing.T, o JoinOptions) *machine {
	t.Helper()
	made, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{dir: filepath.Dir(o.Paths.Etc), id: o.Host, made: made}
	if made.Config.Etcd.Member {
		m.startEtcd(t)
	}
	return m
}

// mustPut writes within a deadline, over elections.
func mustPut(t *testing.T, cli *clientv3.Client, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		try, stop := context.WithTimeout(ctx, 5*time.Second)
		_, err := cli.Put(try, key, "x")
		stop()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("put %s: %v", key, err)
		}
	}
}

// TestThreeMembers goes the way of a cluster: init, two joins, a fourth host as client, a
// member killed, a member removed and joined again.
func TestThreeMembers(t *testing.T) {
	t.Parallel()
	tokens := &testTokens{hashes: map[string]string{}}
	one := firstMachine(t, tokens)
	ca := mustCA(t, one.made.Config.PKI, time.Now()).Fingerprint()

	two := mustJoin(t, joinOptions(t, 2, one.api, tokens.mint(t, ca)))
	two.awaitVoter(t, one.cli)
	two.serve(t, tokens)
	three := mustJoin(t, joinOptions(t, 3, two.api, tokens.mint(t, ca))) // any member admits
	three.awaitVoter(t, one.cli)
	three.serve(t, tokens)
	if three.made.StoreID != "5707e" || three.made.Config.Etcd.InitialState != "existing" {
		t.Errorf("third host = %+v, want an existing cluster and store 5707e", three.made)
	}

	four := mustJoin(t, joinOptions(t, 4, three.api, tokens.mint(t, ca)))
	if four.made.Config.Etcd.Member || len(four.made.Config.Endpoints) != 3 || len(four.made.Services) != 1 {
		t.Errorf("fourth host = %+v, want a client with three endpoints", four.made)
	}
	if is, err := exists(four.made.Config.PKI.CAKey); is || err != nil {
		t.Errorf("CA key on a client: %v, %v, want false", is, err)
	}
	four.serve(t, tokens)
	_, err := Join(t.Context(), joinOptions(t, 5, four.api, tokens.mint(t, ca)))
	if err == nil || !strings.Contains(err.Error(), "this host cannot sign certificates: it has no CA key (ask one that has it: 127.0.0.1:") {
		t.Errorf("join at a client = %v, want a hint where to ask", err)
	}

	members, err := one.joiner.Etcd.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leaders := 0
	for _, m := range members {
		if m.Leader {
			leaders++
		}
		if !m.Healthy || m.Learner || m.DBSize == 0 {
			t.Errorf("member %+v, want a healthy voter", m)
		}
	}
	if len(members) != 3 || leaders != 1 {
		t.Errorf("%d members, %d leaders, want 3, 1", len(members), leaders)
	}
	testStrangers(t, one)
	testKilledMember(t, one, two, three, four, tokens, ca)
}

// testStrangers tries who gets at etcd's ports: hosts only.
func testStrangers(t *testing.T, one *machine) {
	t.Helper()
	now := time.Now()
	id, err := LoadIdentity(one.made.Config.PKI, now)
	if err != nil {
		t.Fatal(err)
	}
	strangers, _ := mustPKI(t, now)
	stranger, err := LoadIdentity(strangers, now)
	if err != nil {
		t.Fatal(err)
	}
	foreign, nobody, admin := id.ClientTLS(), id.ClientTLS(), id.ClientTLS()
	foreign.GetClientCertificate = stranger.ClientTLS().GetClientCertificate
	nobody.GetClientCertificate = nil
	person := mustAdmin(t, mustCA(t, one.made.Config.PKI, now), now)
	admin.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return person, nil }

	c := one.made.Config
	for _, port := range []int{c.Etcd.ClientPort, c.Etcd.PeerPort} {
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		for name, tt := range map[string]struct {
			conf *tls.Config
			ok   bool
		}{"host": {id.ClientTLS(), true}, "stranger": {foreign, false}, "nobody": {nobody, false}, "admin": {admin, false}} {
			if err := probe(addr, tt.conf); (err == nil) != tt.ok {
				t.Errorf("%s at %s: %v, want ok %v", name, addr, err, tt.ok)
			}
		}
		if err := get("http://" + addr + "/version"); err == nil {
			t.Errorf("plain text at %s is answered", addr)
		}
	}
}

// probe demands a first word of HTTP/2 from a server: it comes only to those it accepts.
func probe(addr string, conf *tls.Config) error {
	conf = conf.Clone()
	conf.NextProtos = []string{"h2"}
	c, err := tls.Dial("tcp", addr, conf)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 9))
	return err
}

// get fetches a URL in plain text.
func get(url string) error {
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	c := http.Client{Transport: tr, Timeout: 10 * time.Second}
	res, err := c.Get(url)
	if err != nil {
		return err
	}
	res.Body.Close()
	return nil
}

// testKilledMember kills one member of three: the others still write; another is not let go
// meanwhile; the killed host joins again in its own place.
func testKilledMember(t *testing.T, one, two, three, four *machine, tokens *testTokens, ca Fingerprint) {
	t.Helper()
	mustPut(t, four.cli, "before")
	three.kill(t)
	mustPut(t, four.cli, "after")
	mustLook(t, one, map[*machine]string{one: "", two: "", three: "does not answer: "})
	if err := Leave(t.Context(), one.joiner.Etcd, string(two.id)); err == nil || !strings.HasPrefix(err.Error(), "without it 1 of 2 etcd members are well, fewer than a majority (start the other etcd members first") {
		t.Errorf("Leave of the second of two well members = %v, want a refusal", err)
	}

	again := joinOptions(t, 3, one.api, tokens.mint(t, ca))
	re := mustJoin(t, again)
	re.awaitVoter(t, one.cli)
	mustPut(t, four.cli, "again")
	members, err := one.joiner.Etcd.Members(t.Context())
	if err != nil || len(members) != 3 {
		t.Fatalf("members after the third joined again = %v, %v, want 3", members, err)
	}

	// It knows no member but its own, asks the others all the same, and may do so twice.
	alone := re.made.Config
	alone.Endpoints = []string{"https://127.0.0.1:" + strconv.Itoa(alone.Etcd.ClientPort)}
	for _, config := range []Config{alone, re.made.Config} {
		left, err := LeaveEtcd(t.Context(), config, nil)
		if err != nil || len(left.Endpoints) != 2 || slices.Contains(left.Endpoints, alone.Endpoints[0]) || left.Etcd.Member {
			t.Fatalf("LeaveEtcd = %v, etcd member %v, %v, want the two others", left.Endpoints, left.Etcd.Member, err)
		}
	}
	if err := re.etcd.Wait(); err == nil || re.etcd.ProcessState.ExitCode() != 78 {
		t.Errorf("removed member ended with %v, want exit code 78", err)
	}
	mustPut(t, four.cli, "two are left")

	two.kill(t)
	mustLook(t, one, map[*machine]string{one: "sees no leader", two: "does not answer: "})
}

// mustLook wants each member healthy, or a reason that begins as given, within a minute:
// the others notice the loss of a leader after their election timeout.
func mustLook(t *testing.T, at *machine, want map[*machine]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := NewEtcdMembers(at.cli).Look(ctx)
		ok := err == nil && len(found) == len(want)
		for m, why := range want {
			ok = ok && slices.ContainsFunc(found, func(f Member) bool {
				return f.Name == string(m.id) && f.Healthy == (why == "") && strings.HasPrefix(f.Reason, why)
			})
		}
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("Look = %+v, %v, want reasons %v", found, err, want)
		}
	}
}

func TestTokensAreUsedOnce(t *testing.T) {
	t.Parallel()
	tokens := &testTokens{hashes: map[string]string{}}
	one := firstMachine(t, tokens)
	ca := mustCA(t, one.made.Config.PKI, time.Now()).Fingerprint()
	other, err := NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	used := tokens.mint(t, ca)
	client := joinOptions(t, 2, one.api, used)
	client.NoEtcd = true
	mustJoin(t, client)
	expired := mustToken(t, ca, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC))
	never := mustToken(t, ca, time.Now().Add(time.Hour))
	id := func(text string) string { return "token " + strings.Split(text, "-")[1] }
	refuses := one.api + " refuses: "
	const again = " (make a new one with 'flotilla token' on an etcd member)"

	tests := map[string]struct {
		change func(*JoinOptions)
		want   string
	}{
		"used":          {func(o *JoinOptions) { o.Token = used }, refuses + id(used) + " is not known: it was used, withdrawn or never made here" + again},
		"expired":       {func(o *JoinOptions) { o.Token = expired.Text() }, refuses + expired.String() + " expired on 2020-01-02 03:04 UTC" + again},
		"never made":    {func(o *JoinOptions) { o.Token = never.Text() }, refuses + never.String() + " is not known: it was used, withdrawn or never made here" + again},
		"other cluster": {func(o *JoinOptions) { o.Token = mustToken(t, other.Fingerprint(), time.Now()).Text() }, one.api + " belongs to another cluster than the token (use the address of a host of the cluster that made the token)"},
		"cut off":       {func(o *JoinOptions) { o.Token = used[:40] }, "join token is cut off (copy it again, whole)"},
		"bad server":    {func(o *JoinOptions) { o.Server = "10.0.0.1:x" }, `"10.0.0.1:x" is no address of a host (write it like 10.0.0.1 or 10.0.0.1:7117)`},
		"bad address":   {func(o *JoinOptions) { o.Address = "alpha" }, `address "alpha" is no IP address of a host (write it like --address 10.0.0.1, without port)`},
		"bad name":      {func(o *JoinOptions) { o.Name = "a b" }, `"a b" is no name of a host (--name gives it one of letters, digits and . _ -)`},
		"own id":        {func(o *JoinOptions) { o.Host = one.id }, refuses + "machine id " + string(one.id) + " is that of the host you ask (give this machine its own: remove /etc/machine-id and run systemd-machine-id-setup)"},
		"member":        {func(o *JoinOptions) { o.Paths = client.Paths }, client.Paths.Config() + ": this host is a member of a cluster already ('systemctl start flotilla-agent' starts it, 'flotilla leave' ends it)"},
	}
	good := tokens.mint(t, ca)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := joinOptions(t, 3, one.api, good)
			tt.change(&o)
			_, err := Join(t.Context(), o)
			if err == nil || err.Error() != tt.want {
				t.Errorf("Join =\n%v\nwant\n%s", err, tt.want)
			}
		})
	}
	mustJoin(t, func() JoinOptions { o := joinOptions(t, 3, one.api, good); o.NoEtcd = true; return o }()) // a refused join uses nothing up
}

// TestJoinCutOff has a host joined that never started, and then joined again; another
// host waits meanwhile and is told why.
func TestJoinCutOff(t *testing.T) {
	t.Parallel()
	tokens := &testTokens{hashes: map[string]string{}}
	one := firstMachine(t, tokens)
	ca := mustCA(t, one.made.Config.PKI, time.Now()).Fingerprint()
	first := joinOptions(t, 2, one.api, tokens.mint(t, ca))
	if _, err := Join(t.Context(), first); err != nil {
		t.Fatal(err)
	}

	waiting := joinOptions(t, 3, one.api, tokens.mint(t, ca))
	waiting.Patience = 1500 * time.Millisecond
	var lines []string
	waiting.Progress = func(line string) { lines = append(lines, line) }
	_, err := Join(t.Context(), waiting)
	want := one.api + " did not admit this host within 1.5s: another host is just becoming an etcd member (it takes some seconds; if it does not end, remove that host: 'flotilla host remove')"
	if err == nil || err.Error() != want || len(lines) != 1 || lines[0] != "waiting: another host is just becoming an etcd member" {
		t.Errorf("Join while another joins = %v, %q, want %s", err, lines, want)
	}

	again := first
	again.Paths, again.Token = testPaths(t.TempDir()), tokens.mint(t, ca)
	mustJoin(t, again).awaitVoter(t, one.cli)
	waiting.Patience = 30 * time.Second
	mustJoin(t, waiting).awaitVoter(t, one.cli) // its token was not used up
}

// age gives the machine a certificate of which less than a third of its life is left.
func (m *machine) age(t *testing.T, ca *CA) {
	t.Helper()
	old := mustSign(t, ca, []byte(mustRead(t, m.made.Config.PKI.Key)), time.Now().Add(-HostLife*3/4))
	mustWrite(t, m.made.Config.PKI.Cert, old, modePublic)
}

func TestRenew(t *testing.T) {
	t.Parallel()
	tokens := &testTokens{hashes: map[string]string{}}
	one := firstMachine(t, tokens)
	ca := mustCA(t, one.made.Config.PKI, time.Now()).Fingerprint()
	o := joinOptions(t, 2, one.api, tokens.mint(t, ca))
	o.NoEtcd = true
	two := mustJoin(t, o)
	for name, m := range map[string]*machine{"with the CA's key": one, "asking": two} {
		id, err := LoadIdentity(m.made.Config.PKI, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		opt := RenewOptions{Config: m.made.Config, Identity: id, Now: time.Now()}
		if did, err := Renew(t.Context(), opt); did || err != nil {
			t.Errorf("%s: Renew of a new certificate = %v, %v, want false", name, did, err)
		}
		m.age(t, mustCA(t, one.made.Config.PKI, time.Now()))
		before := id.Certificate()
		if did, err := Renew(t.Context(), opt); !did || err != nil {
			t.Errorf("%s: Renew = %v, %v, want true", name, did, err)
		}
		after := id.Certificate()
		if after.SerialNumber.Cmp(before.SerialNumber) == 0 || strings.Join(after.DNSNames, " ") != strings.Join(before.DNSNames, " ") {
			t.Errorf("%s: certificate after Renew = %v %v, want a new one for %v", name, after.SerialNumber, after.DNSNames, before.DNSNames)
		}
	}
	id, err := LoadIdentity(two.made.Config.PKI, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	anonymous := id.ClientTLS()
	anonymous.GetClientCertificate = nil
	var ref *Refusal
	if err := post(t.Context(), anonymous, one.api, RenewPath, RenewRequest{}, nil); !errors.As(err, &ref) || ref.Code != "no-host" {
		t.Errorf("renewal without a certificate = %v, want no-host", err)
	}
}

// TestStop wants a member that ends at once although a client watches it, and that
// starts again with its data.
func TestStop(t *testing.T) {
	t.Parallel()
	one := firstMachine(t, &testTokens{hashes: map[string]string{}})
	mustPut(t, one.cli, "kept")
	watch := one.cli.Watch(t.Context(), "x", clientv3.WithCreatedNotify())
	<-watch
	start := time.Now()
	if err := one.etcd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := one.etcd.Wait(); err != nil {
		t.Errorf("stopped member ended with %v, want exit code 0", err)
	}
	t.Logf("stopped within %v", time.Since(start).Round(time.Millisecond))
	one.startEtcd(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		res, err := one.cli.Get(ctx, "kept")
		if err == nil && len(res.Kvs) == 1 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("key after a restart: %v, %v", res, err)
		}
	}
}

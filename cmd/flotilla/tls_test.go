package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/api/apitest"
	"flotilla/members"
)

// TestFromOutside: with the files that admin-cert writes the whole CLI works over TLS; other
// certificates are refused in one line, and change nothing.
func TestFromOutside(t *testing.T) {
	c, err := apitest.New(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	dir := t.TempDir()
	t.Chdir(dir)
	ca, foreign := newCA(t), newCA(t)
	now := time.Now()
	writeAdmin(t, ca, ".", now)
	writeAdmin(t, foreign, "foreign", now)
	writeAdmin(t, ca, "late", now.Add(-48*time.Hour))
	writeHostCert(t, ca)
	address, stop, err := c.Hosts[0].ListenTLS(serverTLS(t, ca))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	if err := os.WriteFile("a.service", []byte("[Service]\nExecStart=/bin/sleep 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"status --ca ca.crt --cert foreign/alice.crt --key foreign/alice.key", 1, "flotilla: error: the daemon refused our certificate: "},
		{"status --ca ca.crt --cert late/alice.crt --key late/alice.key", 1, "flotilla: error: the daemon refused our certificate: "},
		{"status --ca foreign/ca.crt --cert alice.crt --key alice.key", 1, "flotilla: error: the daemon's certificate is not good: x509: certificate signed by unknown authority"},
		{"list-machines --ca ca.crt --cert host.crt --key host.key", 0, ""},
		{"submit a.service --ca ca.crt --cert host.crt --key host.key", 1, "flotilla: error: POST /v1/changes is not for the certificate of host 11111111 (use an administrator's certificate: flotilla admin-cert NAME)"},
		{"token --ca ca.crt --cert host.crt --key host.key", 1, "flotilla: error: POST /v1/tokens is not for the certificate of host 11111111"},
		{"start a.service --ca ca.crt --cert alice.crt --key alice.key", 0, ""},
	} {
		before, _ := c.Revision(t.Context())
		code, said := newBench(t, true).run(t, test.args+" --endpoint https://"+address)
		if code != test.code || !strings.HasPrefix(said, test.want) || code != 0 && strings.Count(said, "\n") != 1 {
			t.Errorf("flotilla %s = %d %q, want %d %q", test.args, code, said, test.code, test.want)
		}
		if after, _ := c.Revision(t.Context()); code != 0 && after != before {
			t.Errorf("flotilla %s changed the store", test.args)
		}
	}
	if spec, _, err := c.Store.Unit(t.Context(), "a.service"); err != nil || spec.By.Who != "alice" {
		t.Errorf("a.service was wanted by %q, %v, want alice", spec.By.Who, err)
	}
}

func newCA(t *testing.T) *members.CA {
	t.Helper()
	ca, err := members.NewCA(time.Now().Add(-72 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// writeAdmin writes a certificate of alice that is good for a day from now on.
func writeAdmin(t *testing.T, ca *members.CA, dir string, now time.Time) {
	t.Helper()
	files, err := adminFiles(ca, "alice", 24*time.Hour, now)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err == nil {
		err = writeNew(dir, files)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// hostCert signs the certificate of h1.
func hostCert(t *testing.T, ca *members.CA) (cert, key []byte) {
	t.Helper()
	id := strings.Repeat("1", 32)
	key, err := members.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := members.NewCSR(key, id)
	if err != nil {
		t.Fatal(err)
	}
	cert, err = ca.SignHost(csr, members.HostNames{ID: id, Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func writeHostCert(t *testing.T, ca *members.CA) {
	t.Helper()
	cert, key := hostCert(t, ca)
	for name, data := range map[string][]byte{"host.crt": cert, "host.key": key} {
		if err := os.WriteFile(filepath.Join(".", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// serverTLS is that of members.Identity: client certificates are verified if given.
func serverTLS(t *testing.T, ca *members.CA) *tls.Config {
	t.Helper()
	cert, key := hostCert(t, ca)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return &tls.Config{MinVersion: tls.VersionTLS13, ClientCAs: pool, ClientAuth: tls.VerifyClientCertIfGiven, Certificates: []tls.Certificate{pair}}
}

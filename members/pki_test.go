package members

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	hostA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hostB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// mustPKI makes a CA and a host certificate in a folder of its own, made at made.
func mustPKI(t *testing.T, made time.Time) (PKI, *CA) {
	t.Helper()
	files := Paths{Etc: t.TempDir()}.PKI()
	ca, err := NewCA(made)
	if err != nil {
		t.Fatal(err)
	}
	if err := ca.Save(files.CA, files.CAKey); err != nil {
		t.Fatal(err)
	}
	mustHost(t, ca, files, made)
	return files, ca
}

// mustHost writes a host's key and certificate of the CA.
func mustHost(t *testing.T, ca *CA, files PKI, made time.Time) {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, files.Key, string(key), modeKey)
	mustWrite(t, files.Cert, mustSign(t, ca, key, made), modePublic)
}

func mustSign(t *testing.T, ca *CA, key []byte, made time.Time) string {
	t.Helper()
	csr, err := NewCSR(key, hostA)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.SignHost(csr, HostNames{ID: hostA, Names: []string{"alpha"}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}, made)
	if err != nil {
		t.Fatal(err)
	}
	return string(cert)
}

func mustWrite(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := writeFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestHostCertificate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	files, ca := mustPKI(t, now)
	id, err := LoadIdentity(files, now)
	if err != nil {
		t.Fatalf("LoadIdentity = %v", err)
	}
	c := id.Certificate()
	if c.Subject.CommonName != hostA || !cmp.Equal(c.Subject.Organization, []string{OrgHost}) {
		t.Errorf("subject = %v, want %s of %s", c.Subject, hostA, OrgHost)
	}
	if want := []string{HostSAN, hostA, "localhost", "alpha"}; !cmp.Equal(c.DNSNames, want) {
		t.Errorf("names = %v, want %v", c.DNSNames, want)
	}
	for _, name := range []string{"10.0.0.1", "127.0.0.1", "::1", "alpha"} {
		if err := c.VerifyHostname(name); err != nil {
			t.Errorf("VerifyHostname(%s) = %v", name, err)
		}
	}
	if got, want := c.NotAfter, now.Add(HostLife); !got.Equal(want) {
		t.Errorf("NotAfter = %v, want %v", got, want)
	}
	if FingerprintOf(id.CA()) != ca.Fingerprint() {
		t.Errorf("fingerprint changed over the disk")
	}
	for _, f := range []string{files.Key, files.CAKey} {
		if fi, err := os.Stat(f); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("mode of %s = %v, %v, want 0600", f, fi.Mode(), err)
		}
	}
}

func TestCertificateNeverOutlivesCA(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ca, err := NewCA(now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := ParseCert([]byte(mustSign(t, ca, key, now.Add(CALife-24*time.Hour))))
	if err != nil {
		t.Fatal(err)
	}
	if !c.NotAfter.Equal(ca.Cert.NotAfter) {
		t.Errorf("NotAfter = %v, want that of the CA, %v", c.NotAfter, ca.Cert.NotAfter)
	}
}

func TestNeedsRenewal(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	files, _ := mustPKI(t, now)
	id, err := LoadIdentity(files, now)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]bool{0: false, HostLife / 2: false, HostLife * 3 / 4: true, HostLife * 2: true} {
		if got := NeedsRenewal(id.Certificate(), now.Add(after)); got != want {
			t.Errorf("NeedsRenewal after %v = %v, want %v", after, got, want)
		}
	}
}

func TestSignRefusesBadRequests(t *testing.T) {
	ca, err := NewCA(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	good, err := NewCSR(key, hostA)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	block.Bytes[len(block.Bytes)-3] ^= 1
	rk, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, rk)
	if err != nil {
		t.Fatal(err)
	}
	for name, csr := range map[string]string{
		"text":      "hello",
		"key":       string(key),
		"signature": string(pem.EncodeToMemory(block)),
		"rsa":       string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
	} {
		if _, err := ca.SignHost([]byte(csr), HostNames{ID: hostA}, time.Now()); err == nil || !strings.HasPrefix(err.Error(), "signing request: ") {
			t.Errorf("SignHost(%s) = %v, want an error about the signing request", name, err)
		}
	}
}

// TestBadFiles spoils one thing each and wants one line that names file and remedy.
func TestBadFiles(t *testing.T) {
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	join := " (" + hintHost + ")"
	_, otherCA := mustPKI(t, made)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaDER, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	otherKey, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		spoil func(f PKI)
		now   time.Time
		want  string // FOLDER stands for the folder
	}{
		"no certificate":      {func(f PKI) { os.Remove(f.Cert) }, made, "FOLDER/host.crt: no such file or directory" + join},
		"no key":              {func(f PKI) { os.Remove(f.Key) }, made, "FOLDER/host.key: no such file or directory" + join},
		"no CA":               {func(f PKI) { os.Remove(f.CA) }, made, "FOLDER/ca.crt: no such file or directory (" + hintCA + ")"},
		"empty certificate":   {func(f PKI) { mustWrite(t, f.Cert, "\n", 0o644) }, made, "FOLDER/host.crt: file is empty" + join},
		"certificate not PEM": {func(f PKI) { mustWrite(t, f.Cert, "hello", 0o644) }, made, "FOLDER/host.crt: no PEM block found" + join},
		"key as certificate":  {func(f PKI) { mustWrite(t, f.Cert, mustRead(t, f.Key), 0o644) }, made, `FOLDER/host.crt: holds a "PRIVATE KEY", not a "CERTIFICATE"` + join},
		"certificate as key":  {func(f PKI) { mustWrite(t, f.Key, mustRead(t, f.Cert), 0o600) }, made, `FOLDER/host.key: holds a "CERTIFICATE", not a "PRIVATE KEY"` + join},
		"damaged certificate": {func(f PKI) { mustWrite(t, f.Cert, string(certPEM([]byte("abc"))), 0o644) }, made, "FOLDER/host.crt: certificate is damaged: x509: malformed certificate" + join},
		"damaged key": {func(f PKI) {
			mustWrite(t, f.Key, "-----BEGIN PRIVATE KEY-----\nYWJj\n-----END PRIVATE KEY-----\n", 0o600)
		}, made, "FOLDER/host.key: private key is damaged" + join},
		"RSA key": {func(f PKI) {
			mustWrite(t, f.Key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rsaDER})), 0o600)
		}, made, "FOLDER/host.key: private key is a *rsa.PrivateKey, want ECDSA" + join},
		"key of another":        {func(f PKI) { mustWrite(t, f.Key, string(otherKey), 0o600) }, made, "FOLDER/host.key: key does not belong to FOLDER/host.crt" + join},
		"key for all to read":   {func(f PKI) { os.Chmod(f.Key, 0o644) }, made, "FOLDER/host.key: others may read this private key: its mode is 0644 (chmod 600 FOLDER/host.key)"},
		"foreign CA":            {func(f PKI) { mustWrite(t, f.CA, string(otherCA.CertPEM()), 0o644) }, made, `FOLDER/host.crt: certificate of "` + hostA + `" was not signed by FOLDER/ca.crt` + join},
		"host's as CA":          {func(f PKI) { mustWrite(t, f.CA, mustRead(t, f.Cert), 0o644) }, made, `FOLDER/ca.crt: certificate of "` + hostA + `" is no certificate authority (` + hintCA + ")"},
		"expired certificate":   {func(PKI) {}, made.Add(2 * HostLife), "FOLDER/host.crt: certificate expired on 2027-01-02 03:04 UTC" + join},
		"certificate of future": {func(f PKI) { mustHost(t, mustCA(t, f, made), f, made.Add(48*time.Hour)) }, made, "FOLDER/host.crt: certificate is valid from 2026-01-04 02:59 UTC, but it is 2026-01-02 03:04 UTC here (" + hintClock + ")"},
		"expired CA":            {func(PKI) {}, made.Add(2 * CALife), "FOLDER/ca.crt: certificate expired on 2035-12-31 03:04 UTC (make a new cluster: 'flotilla leave' on all hosts, then init and join)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f, _ := mustPKI(t, made)
			tt.spoil(f)
			_, err := LoadIdentity(f, tt.now)
			if err == nil {
				t.Fatal("LoadIdentity = nil, want an error")
			}
			if got := strings.ReplaceAll(err.Error(), filepath.Dir(f.CA), "FOLDER"); got != tt.want {
				t.Errorf("LoadIdentity =\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func mustCA(t *testing.T, f PKI, now time.Time) *CA {
	t.Helper()
	ca, err := LoadCA(f.CA, f.CAKey, now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestLoadCARefusesForeignKey(t *testing.T) {
	now := time.Now()
	f, _ := mustPKI(t, now)
	g, _ := mustPKI(t, now)
	_, err := LoadCA(f.CA, g.CAKey, now)
	want := g.CAKey + ": key does not belong to " + f.CA + " (" + hintCAKey + ")"
	if err == nil || err.Error() != want {
		t.Errorf("LoadCA = %v, want %s", err, want)
	}
	if _, err := LoadIdentity(f, now.Add(2*HostLife)); !errors.Is(err, ErrExpired) {
		t.Errorf("LoadIdentity after a year = %v, want ErrExpired", err)
	}
}

// TestHandshakes tries who may talk to a server with ServerTLS, and who it is then.
func TestHandshakes(t *testing.T) {
	now := time.Now()
	files, ca := mustPKI(t, now)
	id, err := LoadIdentity(files, now)
	if err != nil {
		t.Fatal(err)
	}
	strangers, strangeCA := mustPKI(t, now)
	stranger, err := LoadIdentity(strangers, now)
	if err != nil {
		t.Fatal(err)
	}
	theirs := id.ClientTLS()
	theirs.GetClientCertificate = stranger.ClientTLS().GetClientCertificate
	anonymous := id.ClientTLS()
	anonymous.GetClientCertificate = nil
	old := id.ClientTLS()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	admin := id.ClientTLS()
	admin.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return mustAdmin(t, ca, now), nil }

	tests := map[string]struct {
		conf *tls.Config
		role Role
		name string
		ok   bool
	}{
		"host":              {id.ClientTLS(), Host, hostA, true},
		"admin":             {admin, Admin, "kim", true},
		"no certificate":    {anonymous, Stranger, "", true},
		"stranger":          {theirs, Stranger, "", false},
		"stranger's server": {stranger.ClientTLS(), Stranger, "", false},
		"TLS 1.2":           {old, Stranger, "", false},
		"pinned":            {pinnedTLS(func(f Fingerprint) bool { return f == ca.Fingerprint() }), Stranger, "", true},
		"pinned elsewhere":  {pinnedTLS(func(f Fingerprint) bool { return f == strangeCA.Fingerprint() }), Stranger, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			role, who, err := handshake(t, id.ServerTLS(), tt.conf)
			if (err == nil) != tt.ok || role != tt.role || who != tt.name {
				t.Errorf("handshake = %v, %q, %v, want %v, %q, ok %v", role, who, err, tt.role, tt.name, tt.ok)
			}
		})
	}
}

func mustAdmin(t *testing.T, ca *CA, now time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := keyPEM(key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := NewCSR(text, "kim")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.SignAdmin(csr, "kim", AdminLife, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, text)
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// handshake connects a client and a server and says whom the server saw.
func handshake(t *testing.T, server, client *tls.Config) (Role, string, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	type seen struct {
		role Role
		name string
		err  error
	}
	done := make(chan seen, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			done <- seen{err: err}
			return
		}
		defer c.Close()
		s := tls.Server(c, server)
		if err := s.Handshake(); err != nil {
			done <- seen{err: err}
			return
		}
		state := s.ConnectionState()
		role, name := Peer(&state)
		_, err = s.Write([]byte("x"))
		done <- seen{role, name, err}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	client.ServerName = "127.0.0.1"
	c := tls.Client(raw, client)
	_, cerr := io.ReadFull(c, make([]byte, 1))
	raw.Close()
	s := <-done
	return s.role, s.name, errors.Join(s.err, cerr)
}

func TestIdentityTakesRenewedCertificate(t *testing.T) {
	now := time.Now()
	files, ca := mustPKI(t, now)
	id, err := LoadIdentity(files, now)
	if err != nil {
		t.Fatal(err)
	}
	first := id.Certificate().SerialNumber
	mustWrite(t, files.Cert, mustSign(t, ca, []byte(mustRead(t, files.Key)), now), 0o644)
	second := id.Certificate().SerialNumber
	if second.Cmp(first) == 0 {
		t.Error("Certificate() is the old one after its file changed")
	}
	mustWrite(t, files.Cert, "rubbish", 0o644)
	if got := id.Certificate().SerialNumber; got.Cmp(second) != 0 {
		t.Errorf("Certificate() after its file went bad = %v, want %v", got, second)
	}
}

// TestBadRenewalIsTold: a host that serves an old certificate on must say so before it expires,
// and must not read the bad file at every handshake.
func TestBadRenewalIsTold(t *testing.T) {
	now := time.Now()
	files, ca := mustPKI(t, now)
	id, err := LoadIdentity(files, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.Err(); err != nil {
		t.Errorf("Err() of a good certificate = %v, want nil", err)
	}
	first := id.Certificate().SerialNumber
	good := mustSign(t, ca, []byte(mustRead(t, files.Key)), now)
	mustWrite(t, files.Cert, good, 0o644)
	if err := os.Chmod(files.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := id.current(now).Leaf.SerialNumber; got.Cmp(first) != 0 {
		t.Errorf("certificate with a key that others may read = %v, want the one before, %v", got, first)
	}
	var p *Problem
	if err := id.Err(); !errors.As(err, &p) || p.File != files.Key {
		t.Errorf("Err() = %v, want the problem of %s", err, files.Key)
	}
	if err := os.Chmod(files.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := id.current(now.Add(readAgain / 2)).Leaf.SerialNumber; got.Cmp(first) != 0 {
		t.Error("a file that could not be used is read again at each handshake")
	}
	if got := id.current(now.Add(2 * readAgain)).Leaf.SerialNumber; got.Cmp(first) == 0 || id.Err() != nil {
		t.Errorf("certificate after its key was mended = %v, %v, want the renewed one", got, id.Err())
	}
	if err := os.Remove(files.Cert); err != nil {
		t.Fatal(err)
	}
	if err := id.Err(); !errors.As(err, &p) || p.File != files.Cert {
		t.Errorf("Err() without a certificate = %v, want the problem of %s", err, files.Cert)
	}
}

// TestLoadPEMWithoutAPath: not every error of a read carries a path.
func TestLoadPEMWithoutAPath(t *testing.T) {
	if got := reason(errors.New("interrupted")); got != "interrupted" {
		t.Errorf("reason() = %q, want the error's own words", got)
	}
	if _, err := loadPEM(t.TempDir(), "", "CERTIFICATE"); err == nil {
		t.Error("loadPEM of a folder = nil, want an error")
	}
}

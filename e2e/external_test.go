//go:build e2e

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"flotilla/e2e/hosts"
	"flotilla/e2e/testbed"
)

// foreignUnit runs Debian's etcd as somebody else would: its own CA, client certificates,
// users. Passwords cost it little: here it shares two cores with all its clients, and each of
// their streams begins with a password.
const foreignUnit = `[Service]
Type=notify
ExecStart=/opt/etcd/etcd --name=foreign --data-dir=/var/lib/foreign-etcd --listen-client-urls=https://%[1]s:2379 --advertise-client-urls=https://%[1]s:2379 \
  --listen-peer-urls=http://127.0.0.1:2380 --initial-advertise-peer-urls=http://127.0.0.1:2380 --initial-cluster=foreign=http://127.0.0.1:2380 \
  --bcrypt-cost=4 --client-cert-auth --trusted-ca-file=/opt/etcd/ca.crt --cert-file=/opt/etcd/server.crt --key-file=/opt/etcd/server.key
`

// TestForeignEtcd: a cluster in an etcd that is not ours, with its own CA, a user who may
// touch one prefix, and the keys of somebody else beside it.
func TestForeignEtcd(t *testing.T) {
	ownLab(t, "external", 2)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	first, second := bed.Hosts[0], bed.Hosts[1]
	f := startForeign(t, ctx, first)
	f.etcdctl("", "put", "/flotilla/theirs", "untouched")
	f.etcdctl("", "user", "add", "root:top")
	f.etcdctl("", "role", "add", "one")
	f.etcdctl("", "role", "grant-permission", "one", "readwrite", "--prefix=true", "/other/")
	f.etcdctl("", "user", "add", "flo:secret")
	f.etcdctl("", "user", "grant-role", "flo", "one")
	f.etcdctl("", "auth", "enable")
	for name, text := range map[string]string{"password": "secret\n", "wrong": "guess\n"} {
		if err := first.WriteFile(ctx, "/opt/etcd/"+name, 0o600, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{
		testbed.Installed, "init", "-o", "json", "--etcd-endpoints=https://" + first.IP() + ":2379", "--etcd-ca=/opt/etcd/ca.crt",
		"--etcd-cert=/opt/etcd/client.crt", "--etcd-key=/opt/etcd/client.key", "--etcd-username=flo", "--prefix=/other",
	}
	if _, err := first.Exec(ctx, nil, append(args, "--etcd-password-file=/opt/etcd/password")...); err != nil {
		t.Fatal(err)
	}
	if err := bed.Join(ctx, second); err != nil {
		t.Fatal(err)
	}
	submit(t, ctx, map[string]string{
		"plain@.service": testbed.SleepUnit,
		"only.service":   testbed.SleepUnit + "[X-Flotilla]\nFence=yes\n",
	})
	flotilla(t, ctx, "start", "plain@{1..4}", "only")
	before := running(t, ctx, second)
	perHost := map[string]int{}
	for _, i := range before {
		perHost[i.HostName]++
	}
	if len(perHost) != 2 {
		t.Errorf("units are on %v, want both hosts", perHost)
	}
	if isActive(ctx, first, testbed.Etcd) || isActive(ctx, second, testbed.Etcd) {
		t.Error("an etcd of ours runs beside the foreign one")
	}
	if got := f.etcdctl("root:top", "get", "--keys-only", "--prefix", ""); strings.Count(got, "/other/") < 10 || strings.Count(got, "/flotilla/") != 1 {
		t.Errorf("keys in the foreign etcd:\n%s\nwant ours below /other/ alone", got)
	}
	// The users' tokens do not outlive a restart of that etcd. Nothing that is not fenced notices it.
	exec(t, ctx, first, "systemctl", "restart", "foreign-etcd.service")
	for _, h := range bed.Hosts {
		awaitRenewals(t, ctx, h, 3)
	}
	after := running(t, ctx, second)
	if after["only.service"].Host == "" {
		t.Error("the fenced unit did not come back")
	}
	delete(before, "only.service")
	untouched(t, before, after)
	flotilla(t, ctx, "destroy", "plain@1", "plain@2", "plain@3", "plain@4", "only")
}

// foreign is the etcd of somebody else.
type foreign struct {
	t    *testing.T
	ctx  context.Context
	host *hosts.Host
}

func startForeign(t *testing.T, ctx context.Context, h *hosts.Host) *foreign {
	t.Helper()
	for _, program := range []string{"etcd", "etcdctl"} {
		from := filepath.Join(hosts.CacheDir(), "etcd", "usr", "bin", program)
		if err := h.CopyIn(ctx, from, "/opt/etcd/"+program); err != nil {
			t.Fatalf("%v (e2e/hosts/prepare.sh test fetches it)", err)
		}
	}
	for name, pem := range foreignPKI(t, net.ParseIP(h.IP())) {
		if err := h.WriteFile(ctx, "/opt/etcd/"+name, 0o600, pem); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.WriteFile(ctx, "/etc/systemd/system/foreign-etcd.service", 0o644, fmt.Appendf(nil, foreignUnit, h.IP())); err != nil {
		t.Fatal(err)
	}
	exec(t, ctx, h, "systemctl", "daemon-reload")
	exec(t, ctx, h, "systemctl", "start", "foreign-etcd.service")
	return &foreign{t, ctx, h}
}

// etcdctl runs it on the etcd's host, as a user ("name:password") or, before there are users, as nobody.
func (f *foreign) etcdctl(user string, args ...string) string {
	f.t.Helper()
	all := []string{
		"env", "ETCDCTL_API=3", "/opt/etcd/etcdctl", "--endpoints=https://" + f.host.IP() + ":2379",
		"--cacert=/opt/etcd/ca.crt", "--cert=/opt/etcd/client.crt", "--key=/opt/etcd/client.key",
	}
	if user != "" {
		all = append(all, "--user="+user)
	}
	return exec(f.t, f.ctx, f.host, append(all, args...)...)
}

// foreignPKI makes a CA, and certificates for the etcd at an address and for its clients.
func foreignPKI(t *testing.T, address net.IP) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	var ca *x509.Certificate
	var caKey *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			IsCA:        i == 0, BasicConstraintsValid: true,
		}
		if i == 0 {
			ca, caKey = c, key
			c.ExtKeyUsage = nil
		}
		if name == "server" {
			c.IPAddresses = []net.IP{address}
		}
		signed, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		out[name+".crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})
		out[name+".key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	}
	return out
}

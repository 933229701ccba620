package members

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// Identity is a certificate with its key and the CA that both sides of a connection
// trust. It reads the certificate again when its file changed, so that a renewal
// needs no restart; with a file that went bad meanwhile the old certificate is served on,
// and Err says why.
type Identity struct {
	files PKI
	ca    *x509.Certificate
	pool  *x509.CertPool

	mu    sync.Mutex
	stamp fs.FileInfo // of the certificate's file when it was read
	cert  *tls.Certificate
	err   error     // why the file as it is now is not in use
	again time.Time // when it is read again although it is the same: key or clock may have been mended
}

// readAgain is how long a file that could not be used is not read again.
const readAgain = time.Minute

// LoadIdentity reads and checks a certificate, its key and the CA. Every problem is one
// line that names the file and how to mend it.
func LoadIdentity(files PKI, now time.Time) (*Identity, error) {
	ca, err := LoadCACert(files.CA, now)
	if err != nil {
		return nil, err
	}
	id := &Identity{files: files, ca: ca, pool: x509.NewCertPool()}
	id.pool.AddCert(ca)
	if id.stamp, err = os.Stat(files.Cert); err != nil {
		return nil, &Problem{File: files.Cert, What: reason(err), Hint: hintHost, Err: err}
	}
	if id.cert, err = id.load(now); err != nil {
		return nil, err
	}
	return id, nil
}

// load reads and checks certificate and key.
func (id *Identity) load(now time.Time) (*tls.Certificate, error) {
	leaf, err := loadCert(id.files.Cert, hintHost)
	if err != nil {
		return nil, err
	}
	key, err := loadKey(id.files.Key, hintHost)
	if err != nil {
		return nil, err
	}
	if pub, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || !key.PublicKey.Equal(pub) {
		return nil, &Problem{File: id.files.Key, What: "key does not belong to " + id.files.Cert, Hint: hintHost}
	}
	if err := checkSigned(id.files.Cert, leaf, id.ca, id.files.CA, hintHost); err != nil {
		return nil, err
	}
	if err := checkTime(id.files.Cert, leaf, now, hintHost); err != nil {
		return nil, err
	}
	// The CA goes along in the handshake: who joins knows only its fingerprint.
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, id.ca.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// current is the certificate in use, read again if its file changed.
func (id *Identity) current(now time.Time) *tls.Certificate {
	id.mu.Lock()
	defer id.mu.Unlock()
	fi, err := os.Stat(id.files.Cert)
	if err != nil {
		id.err = &Problem{File: id.files.Cert, What: reason(err), Hint: hintHost, Err: err}
		return id.cert
	}
	same := os.SameFile(fi, id.stamp) && fi.ModTime().Equal(id.stamp.ModTime()) && fi.Size() == id.stamp.Size()
	if same && (id.err == nil || now.Before(id.again)) {
		return id.cert
	}
	c, err := id.load(now)
	id.stamp, id.err, id.again = fi, err, now.Add(readAgain)
	if err == nil {
		id.cert = c
	}
	return id.cert
}

// Err says why the certificate's file is not in use as it is now; nil if it is. The one before
// is served on.
func (id *Identity) Err() error {
	id.current(time.Now())
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.err
}

// Certificate is the certificate in use.
func (id *Identity) Certificate() *x509.Certificate { return id.current(time.Now()).Leaf }

// CA is the certificate authority that both sides trust.
func (id *Identity) CA() *x509.Certificate { return id.ca }

// ServerTLS is for listeners: TLS 1.3, client certificates verified if given. Whether
// one is needed, the handler decides (Peer): joining works without.
func (id *Identity) ServerTLS() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		ClientCAs:      id.pool,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return id.current(time.Now()), nil },
	}
}

// ClientTLS is for connections to hosts of the cluster: TLS 1.3, server verified against
// the cluster's CA, our certificate shown.
func (id *Identity) ClientTLS() *tls.Config {
	return &tls.Config{
		MinVersion:           tls.VersionTLS13,
		RootCAs:              id.pool,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return id.current(time.Now()), nil },
	}
}

// Role is what the holder of a certificate is to the cluster.
type Role int

// The roles.
const (
	Stranger Role = iota
	Host
	Admin
)

// Peer says who is at the other end of a TLS connection whose certificate, if any,
// was verified by ServerTLS: its role and its name (a host's machine id, an
// administrator's name).
func Peer(state *tls.ConnectionState) (Role, string) {
	if state == nil || len(state.VerifiedChains) == 0 {
		return Stranger, ""
	}
	c := state.VerifiedChains[0][0]
	if slices.Contains(c.Subject.Organization, OrgHost) {
		return Host, c.Subject.CommonName
	}
	if slices.Contains(c.Subject.Organization, OrgAdmin) {
		return Admin, c.Subject.CommonName
	}
	return Stranger, c.Subject.CommonName
}

// pinnedTLS trusts whatever CA has the fingerprint that pins accepts, as shown by the server
// itself, and requires that this CA signed the server's host certificate.
// Nothing is sent before that holds. The server's name does not matter: any host
// of the cluster may admit another.
func pinnedTLS(pins func(Fingerprint) bool) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, // replaced by the check of the pinned CA below
		VerifyConnection: func(cs tls.ConnectionState) error {
			for _, c := range cs.PeerCertificates[1:] {
				if c.IsCA && pins(FingerprintOf(c)) {
					return verifyHost(cs.PeerCertificates[0], c)
				}
			}
			return errForeignCA
		},
	}
}

// verifyHost checks that a server's certificate is one of a host, signed by the CA.
func verifyHost(c, ca *x509.Certificate) error {
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	if _, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: HostSAN}); err != nil {
		return fmt.Errorf("server's certificate: %w", err)
	}
	return nil
}

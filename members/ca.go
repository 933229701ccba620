package members

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"time"
)

// How long certificates live. A host renews its own with a third of its life left,
// without anyone's help; the CA's end is ten years away and needs a new cluster CA.
const (
	CALife    = 10 * 365 * 24 * time.Hour
	HostLife  = 365 * 24 * time.Hour
	AdminLife = 365 * 24 * time.Hour

	skew = 5 * time.Minute // a certificate is valid this long before it was made: clocks differ
)

// The organizations in a certificate's subject say what its holder is.
const (
	OrgHost  = "flotilla:host"
	OrgAdmin = "flotilla:admin"
)

// HostSAN is a name that every host's certificate carries and no other: etcd asks for
// it, so that an administrator's certificate opens the API but not the store.
const HostSAN = "host.flotilla"

// Fingerprint names a CA: the SHA-256 of its public key (SubjectPublicKeyInfo).
type Fingerprint [sha256.Size]byte

// String is the fingerprint in hex.
func (f Fingerprint) String() string { return hex.EncodeToString(f[:]) }

// FingerprintOf is the fingerprint of a certificate's public key.
func FingerprintOf(c *x509.Certificate) Fingerprint { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// CA is the cluster's certificate authority with its private key.
type CA struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a certificate authority (ECDSA P-256, ten years).
func NewCA(now time.Time) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	t, err := template(pkix.Name{CommonName: "flotilla cluster CA", Organization: []string{"flotilla"}}, now, CALife)
	if err != nil {
		return nil, err
	}
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make CA: %w", err)
	}
	return &CA{Cert: cert, key: key}, nil
}

// LoadCA reads a certificate authority and its key.
func LoadCA(certFile, keyFile string, now time.Time) (*CA, error) {
	cert, err := LoadCACert(certFile, now)
	if err != nil {
		return nil, err
	}
	key, err := loadKey(keyFile, hintCAKey)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, &Problem{File: keyFile, What: "key does not belong to " + certFile, Hint: hintCAKey}
	}
	return &CA{Cert: cert, key: key}, nil
}

// Save writes certificate and key, the key for root only and first.
func (ca *CA) Save(certFile, keyFile string) error {
	key, err := ca.KeyPEM()
	if err != nil {
		return err
	}
	if err := writeFile(keyFile, key, modeKey); err != nil {
		return err
	}
	return writeFile(certFile, ca.CertPEM(), modePublic)
}

// CertPEM is the certificate as in its file.
func (ca *CA) CertPEM() []byte { return certPEM(ca.Cert.Raw) }

// KeyPEM is the private key as in its file.
func (ca *CA) KeyPEM() ([]byte, error) { return keyPEM(ca.key) }

// Fingerprint names the CA.
func (ca *CA) Fingerprint() Fingerprint { return FingerprintOf(ca.Cert) }

// HostNames is what a host's certificate vouches for.
type HostNames struct {
	ID        string // machine id, the subject's common name
	Names     []string
	Addresses []netip.Addr
}

// SignHost signs a host's request. Only the public key is taken from the request: who
// the host is, the caller says.
func (ca *CA) SignHost(csr []byte, who HostNames, now time.Time) ([]byte, error) {
	req, err := parseCSR(csr)
	if err != nil {
		return nil, err
	}
	t, err := template(pkix.Name{CommonName: who.ID, Organization: []string{OrgHost}}, now, HostLife)
	if err != nil {
		return nil, err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	t.DNSNames = unique(append([]string{HostSAN, who.ID, "localhost"}, who.Names...))
	for _, a := range unique(append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, who.Addresses...)) {
		t.IPAddresses = append(t.IPAddresses, net.IP(a.AsSlice()))
	}
	return ca.sign(t, req.PublicKey)
}

// SignAdmin signs an administrator's request: a client certificate for the API.
func (ca *CA) SignAdmin(csr []byte, name string, life time.Duration, now time.Time) ([]byte, error) {
	req, err := parseCSR(csr)
	if err != nil {
		return nil, err
	}
	t, err := template(pkix.Name{CommonName: name, Organization: []string{OrgAdmin}}, now, life)
	if err != nil {
		return nil, err
	}
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.sign(t, req.PublicKey)
}

// sign makes the certificate; it never outlives the CA.
func (ca *CA) sign(t *x509.Certificate, public any) ([]byte, error) {
	if t.NotAfter.After(ca.Cert.NotAfter) {
		t.NotAfter = ca.Cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, t, ca.Cert, public, ca.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", t.Subject.CommonName, err)
	}
	return certPEM(der), nil
}

// NewKey makes a private key and returns it as PEM.
func NewKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return keyPEM(key)
}

// NewCSR is a signing request for the key: it proves that its sender holds the key.
func NewCSR(key []byte, name string) ([]byte, error) {
	k, err := parseKey(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, k)
	if err != nil {
		return nil, fmt.Errorf("make signing request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// NeedsRenewal says whether less than a third of a certificate's life is left.
func NeedsRenewal(c *x509.Certificate, now time.Time) bool {
	return c.NotAfter.Sub(now) < c.NotAfter.Sub(c.NotBefore)/3
}

// template is what all certificates share.
func template(who pkix.Name, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial.Add(serial, big.NewInt(1)),
		Subject:               who,
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}, nil
}

// unique drops repetitions and zero values, keeping the order.
func unique[T comparable](in []T) []T {
	var zero T
	var out []T
	for _, v := range in {
		if v != zero && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

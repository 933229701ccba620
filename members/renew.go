package members

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Renew gives a host that shows its present certificate a new one with the same names.
func (j *Joiner) Renew(ctx context.Context, req RenewRequest, state *tls.ConnectionState) (RenewResponse, error) {
	role, name := Peer(state)
	if role != Host {
		return RenewResponse{}, refuse(http.StatusUnauthorized, "no-host", "only a host may renew its certificate, showing the present one", "")
	}
	if err := j.kept(ctx, name, "gets no new certificate"); err != nil {
		return RenewResponse{}, err
	}
	ca, err := j.ca()
	if err != nil {
		return RenewResponse{}, err
	}
	cert, err := renewed(ca, []byte(req.CSR), state.VerifiedChains[0][0], j.Now())
	if err != nil {
		return RenewResponse{}, refuse(http.StatusBadRequest, "bad-request", err.Error(), "")
	}
	j.Log.Info("host certificate renewed", "host", name)
	return RenewResponse{Cert: string(cert), CA: string(ca.CertPEM())}, nil
}

// renewed signs a request for the names of the present certificate: a renewal proves
// nothing new about a host.
func renewed(ca *CA, csr []byte, present *x509.Certificate, now time.Time) ([]byte, error) {
	who := HostNames{ID: present.Subject.CommonName, Names: present.DNSNames}
	for _, ip := range present.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			who.Addresses = append(who.Addresses, a.Unmap())
		}
	}
	return ca.SignHost(csr, who, now)
}

// RenewOptions says how a host renews its certificate.
type RenewOptions struct {
	Config   Config
	Identity *Identity
	Now      time.Time
	Log      *slog.Logger
	// Leader is the API address of the leading host, "" while there is none; it is asked
	// after all that the configuration names. May be nil.
	Leader func(ctx context.Context) string
}

// Renew replaces this host's certificate when less than a third of its life is left, and
// says whether it did. A host with the CA's key signs by itself, the others ask
// the hosts that have it one after another. The key stays, so that one rename replaces
// all there is to replace; listeners and clients of the Identity take the new
// certificate at the next handshake. Call it now and then: hourly is plenty.
func Renew(ctx context.Context, o RenewOptions) (bool, error) {
	present := o.Identity.Certificate()
	if !NeedsRenewal(present, o.Now) {
		return false, nil
	}
	key, err := os.ReadFile(o.Config.PKI.Key)
	if err != nil {
		return false, fmt.Errorf("renew certificate: %w", err)
	}
	csr, err := NewCSR(key, o.Config.Host)
	if err != nil {
		return false, fmt.Errorf("renew certificate: %w", err)
	}
	cert, err := o.newCertificate(ctx, csr, present)
	if err != nil {
		return false, fmt.Errorf("renew certificate: %w", err)
	}
	if err := o.fits(cert, present); err != nil {
		return false, fmt.Errorf("renew certificate: %w", err)
	}
	return true, writeFile(o.Config.PKI.Cert, cert, modePublic)
}

// newCertificate signs here if the CA's key is at hand, else asks.
func (o RenewOptions) newCertificate(ctx context.Context, csr []byte, present *x509.Certificate) ([]byte, error) {
	is, err := CanSign(o.Config)
	if err != nil {
		return nil, err
	}
	if is {
		ca, err := LoadCA(o.Config.PKI.CA, o.Config.PKI.CAKey, o.Now)
		if err != nil {
			return nil, err
		}
		return renewed(ca, csr, present, o.Now)
	}
	errs := []error{errors.New("no host with the CA's key could be asked")}
	ask := Signers(o.Config)
	if o.Leader != nil {
		ask = append(ask, o.Leader(ctx))
	}
	for _, addr := range unique(ask) {
		var res RenewResponse
		if err := post(ctx, o.Identity.ClientTLS(), addr, RenewPath, RenewRequest{CSR: string(csr)}, &res); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", addr, err))
			continue
		}
		return []byte(res.Cert), nil
	}
	return nil, errors.Join(errs...)
}

// fits checks a certificate before it replaces the present one.
func (o RenewOptions) fits(cert []byte, present *x509.Certificate) error {
	c, err := ParseCert(cert)
	if err != nil {
		return err
	}
	if err := checkSigned("the new certificate", c, o.Identity.CA(), o.Config.PKI.CA, hintHost); err != nil {
		return err
	}
	if c.Subject.CommonName != present.Subject.CommonName || !samePublicKey(c, present) {
		return fmt.Errorf("the new certificate is that of %s or of another key", c.Subject.CommonName)
	}
	return nil
}

func samePublicKey(a, b *x509.Certificate) bool {
	return FingerprintOf(a) == FingerprintOf(b)
}

// CanSign says whether the CA's key is on this host.
func CanSign(c Config) (bool, error) {
	is, err := exists(c.PKI.CAKey)
	if err != nil {
		return false, fmt.Errorf("look for the CA's key: %w", err)
	}
	return is && c.PKI.CAKey != "", nil
}

// Signers are the API addresses of other hosts that have the CA's key, as far as this one
// knows: the etcd members, taken to use the same port, and those it learned of when it joined.
func Signers(c Config) []string {
	var out []string
	for _, e := range c.Endpoints {
		e = strings.TrimPrefix(e, "https://")
		if host, _, err := net.SplitHostPort(e); err == nil {
			out = append(out, net.JoinHostPort(host, strconv.Itoa(c.APIPort)))
		}
	}
	return slices.DeleteFunc(unique(append(out, c.Signers...)), func(a string) bool { return a == c.apiAddress() })
}

// apiAddress is where the other hosts reach this one's API.
func (c Config) apiAddress() string { return net.JoinHostPort(c.Address, strconv.Itoa(c.APIPort)) }

package members

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// Remedies, named in the errors of the files they mend.
const (
	hintCA    = "copy it from another host of the cluster (it is no secret)"
	hintCAKey = "copy it from another etcd member, or join this host again"
	hintHost  = "run 'flotilla leave', then 'flotilla join' with a new token"
	hintClock = "set this host's clock"
)

// ErrExpired is wrapped by problems with certificates whose time is over.
var ErrExpired = errors.New("certificate expired")

// LoadCACert reads the cluster CA's certificate and checks that it is one.
func LoadCACert(file string, now time.Time) (*x509.Certificate, error) {
	c, err := loadCert(file, hintCA)
	if err != nil {
		return nil, err
	}
	if !c.IsCA {
		return nil, &Problem{File: file, What: fmt.Sprintf("certificate of %q is no certificate authority", c.Subject.CommonName), Hint: hintCA}
	}
	return c, checkTime(file, c, now, "make a new cluster: 'flotilla leave' on all hosts, then init and join")
}

// loadCert reads the first certificate of a PEM file.
func loadCert(file, hint string) (*x509.Certificate, error) {
	block, err := loadPEM(file, hint, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	c, err := x509.ParseCertificate(block)
	if err != nil {
		return nil, &Problem{File: file, What: "certificate is damaged: " + err.Error(), Hint: hint, Err: err}
	}
	return c, nil
}

// loadKey reads a private key that nobody but its owner may read.
func loadKey(file, hint string) (*ecdsa.PrivateKey, error) {
	block, err := loadPEM(file, hint, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(file)
	if err != nil {
		return nil, &Problem{File: file, What: err.Error(), Hint: hint, Err: err}
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, &Problem{File: file, What: fmt.Sprintf("others may read this private key: its mode is %04o", fi.Mode().Perm()), Hint: "chmod 600 " + file}
	}
	k, err := ecKey(block)
	if err != nil {
		return nil, &Problem{File: file, What: err.Error(), Hint: hint, Err: err}
	}
	return k, nil
}

// loadPEM reads the first PEM block of a file and checks its type.
func loadPEM(file, hint, kind string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, &Problem{File: file, What: reason(err), Hint: hint, Err: err}
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, &Problem{File: file, What: "file is empty", Hint: hint}
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, &Problem{File: file, What: "no PEM block found", Hint: hint}
	}
	if block.Type != kind {
		return nil, &Problem{File: file, What: fmt.Sprintf("holds a %q, not a %q", block.Type, kind), Hint: hint}
	}
	return block.Bytes, nil
}

// reason is an error of package os without the file's name, which a Problem says by itself.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// checkTime says whether a certificate is valid now.
func checkTime(file string, c *x509.Certificate, now time.Time, hint string) error {
	if now.After(c.NotAfter) {
		return &Problem{File: file, What: "certificate expired on " + date(c.NotAfter), Hint: hint, Err: ErrExpired}
	}
	if now.Before(c.NotBefore) {
		return &Problem{File: file, What: fmt.Sprintf("certificate is valid from %s, but it is %s here", date(c.NotBefore), date(now)), Hint: hintClock}
	}
	return nil
}

// checkSigned says whether the CA signed a certificate.
func checkSigned(file string, c, ca *x509.Certificate, caFile, hint string) error {
	if err := c.CheckSignatureFrom(ca); err != nil {
		return &Problem{File: file, What: fmt.Sprintf("certificate of %q was not signed by %s", c.Subject.CommonName, caFile), Hint: hint, Err: err}
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("not a private key in PEM")
	}
	return ecKey(block.Bytes)
}

func ecKey(der []byte) (*ecdsa.PrivateKey, error) {
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("private key is damaged")
	}
	ec, ok := k.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("private key is a %T, want ECDSA", k)
	}
	return ec, nil
}

// ParseCert reads a certificate from PEM.
func ParseCert(text []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("not a certificate in PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// parseCSR reads a signing request and checks that its sender holds the key.
func parseCSR(text []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("signing request: not a certificate request in PEM")
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing request: %w", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("signing request: %w", err)
	}
	if _, ok := req.PublicKey.(*ecdsa.PublicKey); !ok {
		return nil, fmt.Errorf("signing request: key is a %T, want ECDSA", req.PublicKey)
	}
	return req, nil
}

// Command registry is a registry of container images for test hosts: in memory, over TLS with a
// certificate of its own making, and able to hold a pull up.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	address := flag.String("address", "", "IP address and port to listen on")
	ca := flag.String("ca", "", "file to write the certificate to, for those who pull")
	hold := flag.String("hold", "", "while this file exists no layer is handed out")
	flag.Parse()
	if err := run(*address, *ca, *hold); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

func run(address, ca, hold string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	certificate, err := newCertificate(address)
	if err != nil {
		return err
	}
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o644); err != nil {
		return err
	}
	server := &http.Server{
		Handler:           heldUp(registry.New(registry.Logger(log.New(io.Discard, "", 0))), hold),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: 10 * time.Second,
	}
	return server.ServeTLS(listener, "", "")
}

// heldUp has layers wait as long as a file exists.
func heldUp(next http.Handler, file string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") && exists(file) {
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
		next.ServeHTTP(w, r)
	})
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// newCertificate signs itself, for one IP address.
func newCertificate(address string) (tls.Certificate, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test registry"}, IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, err
}

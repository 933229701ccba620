package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"flotilla/cluster/store"
	"flotilla/members"
)

// etcdOptions says how to reach the cluster's etcd. The member on this host comes first;
// of others each host begins with another one.
func etcdOptions(c members.Config, id *members.Identity, log *slog.Logger) (store.EtcdOptions, error) {
	if c.External != nil {
		return externalOptions(*c.External, log)
	}
	return store.EtcdOptions{Endpoints: inOrder(c, c.Endpoints), TLS: id.ClientTLS(), Logger: log}, nil
}

// inOrder puts the member on this host first; the others come in an order of this host's own.
func inOrder(c members.Config, endpoints []string) []string {
	out := slices.Clone(endpoints)
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	if !c.Etcd.Member {
		return out
	}
	here := "https://" + net.JoinHostPort(c.Address, strconv.Itoa(c.Etcd.ClientPort))
	out = slices.DeleteFunc(out, func(e string) bool { return e == here })
	return slices.Insert(out, 0, here)
}

// externalOptions reaches an etcd that is not ours.
func externalOptions(e members.ExternalEtcd, log *slog.Logger) (store.EtcdOptions, error) {
	out := store.EtcdOptions{Endpoints: e.Endpoints, Username: e.Username, Logger: log}
	if e.PasswordFile != "" {
		data, err := os.ReadFile(e.PasswordFile)
		if err != nil {
			return out, fmt.Errorf("read the etcd password: %w", err)
		}
		out.Password = strings.TrimSpace(string(data))
	}
	if !strings.HasPrefix(e.Endpoints[0], "https://") {
		return out, nil
	}
	out.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if e.CA != "" {
		pem, err := os.ReadFile(e.CA)
		if err != nil {
			return out, fmt.Errorf("read the etcd CA: %w", err)
		}
		out.TLS.RootCAs = x509.NewCertPool()
		if !out.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return out, fmt.Errorf("%s: no certificate in it: give the CA of your etcd", e.CA)
		}
	}
	if e.Cert != "" {
		cert, err := tls.LoadX509KeyPair(e.Cert, e.Key)
		if err != nil {
			return out, fmt.Errorf("load the etcd client certificate: %w", err)
		}
		out.TLS.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}

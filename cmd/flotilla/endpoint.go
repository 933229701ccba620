package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"flotilla/api"
)

// defaultEndpoint is where a host's own daemon listens.
const defaultEndpoint = "unix:///run/flotilla/flotilla.sock"

// endpointFile names a cluster for everything below its folder: the demo writes one.
const endpointFile = ".flotilla/endpoint"

func endpointFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "endpoint", EnvVars: []string{"FLOTILLA_ENDPOINT"}, Usage: "daemon to ask: unix:///path or https://host:port"},
		&cli.StringFlag{Name: "ca", EnvVars: []string{"FLOTILLA_CA"}, Usage: "CA certificate, for https"},
		&cli.StringFlag{Name: "cert", EnvVars: []string{"FLOTILLA_CERT"}, Usage: "client certificate, for https"},
		&cli.StringFlag{Name: "key", EnvVars: []string{"FLOTILLA_KEY"}, Usage: "key of the client certificate"},
	}
}

// client connects as the flags say, else as .flotilla/endpoint in this folder or above
// says, else to this host's daemon.
func client(c *cli.Context) (*api.Client, error) {
	endpoint := c.String("endpoint")
	if endpoint == "" {
		found, err := findEndpoint()
		if err != nil {
			return nil, err
		}
		endpoint = found
	}
	var config *tls.Config
	if strings.HasPrefix(endpoint, "https://") {
		var err error
		if config, err = clientTLS(c); err != nil {
			return nil, err
		}
	}
	cl, err := api.NewClient(endpoint, config)
	if err != nil {
		return nil, usageError{err.Error()}
	}
	return cl, nil
}

// findEndpoint looks for .flotilla/endpoint upwards. Only a file of this user's or root's counts:
// in a foreign folder it must not send commands elsewhere.
func findEndpoint() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return defaultEndpoint, nil
	}
	for {
		path := filepath.Join(dir, endpointFile)
		info, err := os.Stat(path)
		switch {
		case err == nil && ownedByUs(info):
			data, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("read %s: %w", path, err)
			}
			return strings.TrimSpace(string(data)), nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("look for %s: %w", path, err)
		}
		if dir == filepath.Dir(dir) {
			return defaultEndpoint, nil
		}
		dir = filepath.Dir(dir)
	}
}

func ownedByUs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int(st.Uid) == os.Getuid())
}

func clientTLS(c *cli.Context) (*tls.Config, error) {
	for _, name := range []string{"ca", "cert", "key"} {
		if c.String(name) == "" {
			return nil, usagef("an https endpoint needs --ca, --cert and --key: --%s is missing", name)
		}
	}
	pem, err := os.ReadFile(c.String("ca"))
	if err != nil {
		return nil, fmt.Errorf("read --ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in it: give the cluster's ca.crt", c.String("ca"))
	}
	cert, err := tls.LoadX509KeyPair(c.String("cert"), c.String("key"))
	if err != nil {
		return nil, fmt.Errorf("load --cert %s with --key %s: %w", c.String("cert"), c.String("key"), err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, Certificates: []tls.Certificate{cert}}, nil
}

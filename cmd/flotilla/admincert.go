package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/urfave/cli/v2"

	"flotilla/members"
)

func adminCertCommand(pki members.PKI) *cli.Command {
	return &cli.Command{
		Name: "admin-cert", ArgsUsage: "NAME", Category: groupCluster, Usage: "make a client certificate for the API from outside",
		Action: func(c *cli.Context) error { return adminCert(c, pki) },
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Value: ".", Usage: "folder for NAME.crt, NAME.key and ca.crt"},
			&cli.DurationFlag{Name: "ttl", Value: 90 * 24 * time.Hour, Usage: "how long it is good; nothing takes it back before"},
		},
	}
}

var adminName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$`)

// mostAdmin bounds a certificate that nothing can take back.
const mostAdmin = 366 * 24 * time.Hour

// adminCert signs with this host's copy of the CA's key.
func adminCert(c *cli.Context, pki members.PKI) error {
	if c.NArg() != 1 {
		return usagef("admin-cert needs one name: flotilla admin-cert alice")
	}
	name, dir, life := c.Args().First(), c.String("dir"), c.Duration("ttl")
	if !adminName.MatchString(name) || name == "ca" {
		return usagef("admin-cert %q: want a name of letters, digits and _ . @ -, up to 64, other than ca", name)
	}
	if life < time.Hour || life > mostAdmin {
		return usagef("--ttl %s: want 1h to %s", life, mostAdmin)
	}
	if _, err := os.Stat(pki.CAKey); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: no such file (run this on a host that has the CA's key: every etcd member has it)", pki.CAKey)
	}
	now := time.Now()
	ca, err := members.LoadCA(pki.CA, pki.CAKey, now)
	if err != nil {
		return err
	}
	files, err := adminFiles(ca, name, life, now)
	if err != nil {
		return err
	}
	if err := writeNew(dir, files); err != nil {
		return err
	}
	at := func(file string) string { return filepath.Join(dir, file) }
	fmt.Fprintf(c.App.Writer, "flotilla --endpoint https://HOST:7117 --ca %s --cert %s --key %s status\n", at("ca.crt"), at(name+".crt"), at(name+".key"))
	return nil
}

// newFile is a file that must not exist yet, unless its content is the same.
type newFile struct {
	name string
	data []byte
	mode fs.FileMode
}

func adminFiles(ca *members.CA, name string, life time.Duration, now time.Time) ([]newFile, error) {
	key, err := members.NewKey()
	if err != nil {
		return nil, err
	}
	csr, err := members.NewCSR(key, name)
	if err != nil {
		return nil, err
	}
	cert, err := ca.SignAdmin(csr, name, life, now)
	if err != nil {
		return nil, err
	}
	return []newFile{{name + ".key", key, 0o600}, {name + ".crt", cert, 0o644}, {"ca.crt", ca.CertPEM(), 0o644}}, nil
}

// writeNew writes files without touching any that is there.
func writeNew(dir string, files []newFile) error {
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if old, err := os.ReadFile(path); err == nil && string(old) == string(f.data) {
			continue
		}
		w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already: choose another name or --dir", path)
		}
		if err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
		_, err = w.Write(f.data)
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}

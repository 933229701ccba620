package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/members"
)

// externalEtcd is the etcd that the flags name, nil without any. Files are checked here, and
// their names made to hold wherever the daemon runs.
func externalEtcd(c *cli.Context) (*members.ExternalEtcd, error) {
	given := func(flag string) bool { return c.String("etcd-"+flag) != "" }
	for _, f := range []string{"ca", "cert", "key", "username", "password-file"} {
		if given(f) && !c.IsSet("etcd-endpoints") {
			return nil, usagef("--etcd-%s is for an etcd that exists: name it with --etcd-endpoints", f)
		}
	}
	if !c.IsSet("etcd-endpoints") {
		return nil, nil
	}
	for _, pair := range [][2]string{{"cert", "key"}, {"key", "cert"}, {"username", "password-file"}, {"password-file", "username"}} {
		if given(pair[0]) && !given(pair[1]) {
			return nil, usagef("--etcd-%s needs --etcd-%s", pair[0], pair[1])
		}
	}
	out := &members.ExternalEtcd{Username: c.String("etcd-username")}
	for _, list := range c.StringSlice("etcd-endpoints") {
		out.Endpoints = append(out.Endpoints, strings.Split(list, ",")...)
	}
	for _, f := range []struct {
		flag string
		to   *string
	}{{"ca", &out.CA}, {"cert", &out.Cert}, {"key", &out.Key}, {"password-file", &out.PasswordFile}} {
		if !given(f.flag) {
			continue
		}
		file, err := filepath.Abs(c.String("etcd-" + f.flag))
		if err == nil {
			_, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, fmt.Errorf("--etcd-%s: %w", f.flag, err)
		}
		*f.to = file
	}
	return out, nil
}

// Command butane turns a Butane file of flotilla into the Ignition file that a host boots with.
// It fills in ${NAME} from the environment and is strict: what is unknown, unset or
// doubtful is an error.
//
//	go run -C install/butane . ../flatcar.bu > host.ign
//
// With -root it writes what a host would write at its first boot into a folder instead,
// taking the binary from a local file: to try the result on a host without Ignition.
//
//	go run -C install/butane . -root /mnt/host -binary "$PWD/bin/flotilla" ../flatcar.bu
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/coreos/butane/config"
	"github.com/coreos/butane/config/common"
)

func main() {
	root := flag.String("root", "", "write the host's files into this folder")
	binary := flag.String("binary", "", "with -root: local file for what would be fetched")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "butane: error: usage: butane [-root FOLDER -binary FILE] FILE.bu")
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *root, *binary); err != nil {
		fmt.Fprintln(os.Stderr, "butane: error:", err)
		os.Exit(1)
	}
}

// run transpiles and prints, or unpacks.
func run(file, root, binary string) error {
	out, err := transpile(file, os.LookupEnv)
	if err != nil {
		return err
	}
	if root != "" {
		return unpack(out, root, binary)
	}
	_, err = os.Stdout.Write(out)
	return err
}

// name is a place to be filled in.
var name = regexp.MustCompile(`\$\{([A-Z][A-Z0-9_]*)\}`)

// transpile reads a Butane file, whose local files lie beside it.
func transpile(file string, lookup func(string) (string, bool)) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	text, err := fill(file, string(raw), lookup)
	if err != nil {
		return nil, err
	}
	out, report, err := config.TranslateBytes([]byte(text), common.TranslateBytesOptions{
		TranslateOptions: common.TranslateOptions{FilesDir: filepath.Dir(file)},
		Pretty:           true,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", file, err, strings.TrimSpace(report.String()))
	}
	if len(report.Entries) > 0 {
		return nil, fmt.Errorf("%s: %s", file, strings.TrimSpace(report.String()))
	}
	return append(out, '\n'), nil
}

// fill puts values in the places of a text, comments aside.
func fill(file, text string, lookup func(string) (string, bool)) (string, error) {
	var missing []string
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		lines[i] = name.ReplaceAllStringFunc(line, func(m string) string {
			v, ok := lookup(m[2 : len(m)-1])
			if !ok || v == "" {
				missing = append(missing, m[2:len(m)-1])
			}
			return v
		})
		if strings.Count(lines[i], "\n") > 1 {
			return "", fmt.Errorf("%s:%d: a value has more than one line", file, i+1)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return "", fmt.Errorf("%s: %w: %s", file, errMissing, strings.Join(slices.Compact(missing), " "))
	}
	return strings.Join(lines, ""), nil
}

var errMissing = errors.New("set these in the environment")

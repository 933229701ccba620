package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/api"
	"flotilla/units"
)

// gather makes a Change of each argument: globs look at the cluster, braces expand here,
// a unit that the cluster does not know is read from its file.
func gather(ctx context.Context, c *cli.Context, cl *api.Client, v verb) ([]api.Change, error) {
	var out []api.Change
	g := gatherer{ctx: ctx, cl: cl, talk: c.App.ErrWriter, verb: v, replace: c.Bool("replace"), families: map[string]family{}}
	list, err := words(c)
	if err != nil {
		return nil, err
	}
	for _, word := range list {
		found, err := g.resolve(word)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	seen := map[string]bool{}
	out = slices.DeleteFunc(out, func(ch api.Change) bool {
		dup := seen[ch.Name]
		seen[ch.Name] = true
		return dup
	})
	return out, nil
}

// gatherer turns words of a command line into changes.
type gatherer struct {
	ctx      context.Context
	cl       *api.Client
	talk     io.Writer
	verb     verb
	replace  bool
	families map[string]family // by template
}

// family are a template and its instances in the cluster, with the hashes of their contents.
type family map[string]units.Hash

// has reports whether the cluster has the unit.
func (f family) has(name string) bool { return f[name] != "" }

func (g *gatherer) resolve(word string) ([]api.Change, error) {
	if units.IsGlob(word) {
		return g.resolveGlob(word)
	}
	if base := word[strings.LastIndexByte(word, '/')+1:]; base == "" || base == "." || base == ".." {
		return nil, fmt.Errorf("%s is a folder, not a unit (name the files in it, as in %s/*.service)", word, strings.TrimRight(word, "/"))
	}
	name := units.Mangle(filepath.Base(word))
	if _, err := units.ParseName(name); err != nil {
		return nil, err
	}
	ch := g.verb.of(name)
	ch.Replace = g.replace
	if !g.verb.content {
		return []api.Change{ch}, nil
	}
	path, raw, err := readUnit(word, name)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return []api.Change{ch}, nil
	}
	file := unitFile{name: name, path: path, raw: raw}
	if err := file.readDropIns(); err != nil {
		return nil, err
	}
	// What is wrong with a file is said here, for it can be said without a daemon.
	bad := file.verify()
	if template := filepath.Base(path); file.ofTemplate() && !g.replace {
		there, err := g.family(template)
		if err != nil {
			return nil, cmp.Or(bad, err)
		}
		if !there.has(name) && there.has(template) && len(file.own) > 0 {
			ch.DropIns = asked(file.own)
		}
		if there.has(name) || there.has(template) { // what the cluster has comes before the template's file
			if cmp.Or(there[name], there[template]) != units.HashOf(raw) {
				fmt.Fprintf(g.talk, "flotilla: note: %s: the cluster has other content than %s, and that is taken (flotilla apply %s brings it up)\n", name, path, path)
			}
			return []api.Change{ch}, nil
		}
	}
	if bad != nil {
		return nil, bad
	}
	remark(g.talk, units.Name(name), path, raw)
	text := string(raw)
	ch.Content, ch.File, ch.DropIns = &text, path, asked(file.dropIns())
	ch.Template = file.ofTemplate() && len(file.own) == 0
	return []api.Change{ch}, nil
}

// family asks the cluster for a template and its instances.
func (g *gatherer) family(template string) (family, error) {
	if known, ok := g.families[template]; ok {
		return known, nil
	}
	known := family{}
	before, after, _ := strings.Cut(template, "@")
	err := g.cl.Units(g.ctx, []string{before + "@*" + after}, func(u api.Unit) error {
		if u.Revision > 0 {
			known[u.Name] = u.Hash
		}
		return nil
	})
	g.families[template] = known
	return known, err
}

func (g *gatherer) resolveGlob(glob string) ([]api.Change, error) {
	var out []api.Change
	err := g.cl.Units(g.ctx, []string{glob}, func(u api.Unit) error {
		if submitted.has(u) && !(g.verb.target != units.Inactive && strings.Contains(u.Name, "@.")) {
			ch := g.verb.of(u.Name)
			ch.Replace = g.replace
			out = append(out, ch)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, noMatch(submitted, glob)
	}
	return out, nil
}

// readUnit reads the file of a unit, or of its template, beside the path given. Without
// either raw is nil.
func readUnit(word, name string) (path string, raw []byte, err error) {
	dir := filepath.Dir(word)
	tries := []string{filepath.Join(dir, name)}
	if parsed, err := units.ParseName(name); err == nil && parsed.IsInstance() {
		tries = append(tries, filepath.Join(dir, string(parsed.Template())))
	}
	for _, path := range tries {
		raw, err := readRegular(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return path, raw, err
		}
	}
	if dir != "." {
		return "", nil, fmt.Errorf("%s: no such unit file", tries[0])
	}
	return "", nil, nil
}

// mostFile is far more than a unit file may hold: the daemon names the limit.
const mostFile = 16 << 20

// readRegular reads a file whose end is near: no folder, pipe or device.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read unit file: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, not a unit file (name a file in it, or a path such as /etc/units/%s)", path, filepath.Base(path))
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file (write the unit into a file)", path)
	case info.Size() > mostFile:
		return nil, fmt.Errorf("%s holds %d MiB, far more than a unit file may (is it the file that was meant?)", path, info.Size()>>20)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read unit file: %w", err)
	}
	return raw, nil
}

// remark says what a careful reader would tell the author of a file that is good.
func remark(talk io.Writer, name units.Name, path string, raw []byte) {
	f, err := units.Parse(name, raw)
	if err != nil {
		return // verify says so
	}
	for _, n := range f.Notes() {
		n.File = path
		fmt.Fprintf(talk, "flotilla: note: %v\n", n)
	}
}

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"flotilla/templates"
)

func renderCommand() *cli.Command {
	return &cli.Command{
		Name: "render", Category: groupUnits, Usage: "make unit files of a Compose file", Action: render, Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Aliases: []string{"f"}, Value: "compose.yaml", Usage: "the Compose `FILE`"},
			&cli.StringFlag{Name: "runtime", Value: templates.Podman, Usage: "what runs the containers: docker or podman"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the unit files into this `FOLDER` instead of printing them"},
			&cli.StringFlag{Name: "template", Usage: "text/template `FILE` to use instead of the runtime's own"},
		},
	}
}

// render prints or writes unit files, and says how they are started.
func render(c *cli.Context) error {
	o := templates.Options{Runtime: c.String("runtime"), File: c.String("template")}
	if !slices.Contains([]string{templates.Docker, templates.Podman}, o.Runtime) {
		return usagef("--runtime is docker or podman, not %q", o.Runtime)
	}
	if o.File != "" {
		text, err := readSmall(o.File)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(text)) == "" {
			return fmt.Errorf("%s:1: template is empty (docs/templates.md shows one)", o.File)
		}
		o.Template = string(text)
	}
	f, err := loadCompose(c.Context, c.String("file"), c.App.ErrWriter)
	if err != nil {
		return err
	}
	rendered, err := templates.Render(f.doc, f.project, o)
	if err != nil {
		return err
	}
	if err := putRendered(c.App.Writer, c.String("output"), rendered); err != nil {
		return err
	}
	sayStart(c.App.ErrWriter, c.String("output"), rendered)
	return nil
}

// putRendered writes the files into a folder and prints their paths; without a folder it prints the files.
func putRendered(w io.Writer, dir string, rendered []templates.Unit) error {
	if dir == "" {
		for i, u := range rendered {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s", u.Content)
		}
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, u := range rendered {
		path := filepath.Join(dir, string(u.Name))
		if err := os.WriteFile(path, u.Content, 0o644); err != nil {
			return err
		}
		fmt.Fprintln(w, path)
	}
	return nil
}

// sayStart says the commands that start what the Compose file asks for, from the files in a folder.
func sayStart(w io.Writer, dir string, rendered []templates.Unit) {
	for _, u := range rendered {
		word := filepath.Join(dir, u.Name.Prefix()) + "@1"
		if u.Replicas > 1 {
			word = strings.TrimSuffix(word, "1") + fmt.Sprintf("{1..%d}", u.Replicas)
		}
		if strings.ContainsFunc(word, func(r rune) bool { return !strings.ContainsRune(plainInShell, r) }) {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		if u.Replicas > 0 {
			fmt.Fprintf(w, "flotilla start %s\n", word)
		}
	}
}

// plainInShell are the characters that a shell takes for nothing but themselves.
const plainInShell = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./@:+"

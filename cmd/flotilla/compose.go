package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"flotilla/templates"
)

// maxCompose is the most that a Compose file or an env file may hold.
const maxCompose = 1 << 20

// composeFile is a Compose file with all that it was read with.
type composeFile struct {
	doc     *templates.Document
	project *types.Project
}

// loadCompose reads a Compose file, the .env beside it and its env files. Warnings go to warn.
func loadCompose(ctx context.Context, path string, warn io.Writer) (*composeFile, error) {
	content, err := readSmall(path)
	if err != nil {
		return nil, err
	}
	doc, err := templates.Parse(path, content)
	if err != nil {
		return nil, err
	}
	env, err := composeEnvironment(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	warnings, err := doc.Check(env.Resolve)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		fmt.Fprintf(warn, "flotilla: warning: %s\n", w)
	}
	project, err := loadProject(ctx, doc, path, env)
	if err != nil {
		return nil, err
	}
	f := &composeFile{doc: doc, project: project}
	return f, f.readEnvFiles(filepath.Dir(path), env)
}

// loadProject has the Compose library read what Check let pass. It touches no file: env files, other
// files and paths are not for it.
func loadProject(ctx context.Context, doc *templates.Document, path string, env types.Mapping) (project *types.Project, err error) {
	defer func() { // the library takes some kinds of values for granted
		if r := recover(); r != nil {
			err = doc.Fault(nil, "quote texts, and write lists and mappings as the Compose specification has them", fmt.Sprintf("a value is of the wrong kind: %v", r))
		}
	}()
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", path, err)
	}
	tree := doc.Tree()
	name, explicit := tree["name"].(string)
	if !explicit {
		name = loader.NormalizeProjectName(filepath.Base(dir))
	}
	if name == "" {
		return nil, doc.Fault([]string{"name"}, "write name: at the top of the file", "the folder's name makes no name for the project")
	}
	project, err = loader.LoadWithContext(ctx, types.ConfigDetails{
		WorkingDir:  dir,
		Environment: env,
		ConfigFiles: []types.ConfigFile{{Filename: path, Content: []byte{}, Config: tree}},
	}, func(o *loader.Options) {
		o.SetProjectName(name, explicit)
		o.SkipInclude, o.SkipExtends, o.SkipNormalization, o.SkipConsistencyCheck = true, true, true, true
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true
		o.ResolvePaths = false
	})
	if err != nil {
		return nil, doc.Locate(err)
	}
	return project, nil
}

// composeEnvironment is what ${…} may name: this process's variables, then those of .env in a folder.
func composeEnvironment(dir string) (types.Mapping, error) {
	env := types.Mapping{}
	own := types.NewMapping(os.Environ())
	file := filepath.Join(dir, ".env")
	content, err := readSmall(file)
	if err == nil {
		env, err = parseEnv(file, content, own)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for k, v := range own {
		env[k] = v
	}
	return env, nil
}

// readEnvFiles puts the variables of env files below those that the Compose file itself gives.
func (f *composeFile) readEnvFiles(dir string, env types.Mapping) error {
	for name, service := range f.project.Services {
		all := types.MappingWithEquals{}
		for i, e := range service.EnvFiles {
			path := e.Path
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			content, err := readSmall(path)
			if errors.Is(err, fs.ErrNotExist) && !bool(e.Required) {
				continue
			}
			if err != nil {
				at := []string{"services", name, "env_file", strconv.Itoa(i)}
				return f.doc.Fault(at, "name a file beside this one, or an absolute path", "env_file: "+oneLine(err.Error()))
			}
			values, err := parseEnv(path, content, env)
			if err != nil {
				return err
			}
			for k, v := range values {
				all[k] = &v
			}
		}
		service.Environment = all.OverrideBy(service.Environment)
		f.project.Services[name] = service
	}
	return nil
}

// parseEnv reads NAME=value lines.
func parseEnv(path string, content []byte, env types.Mapping) (types.Mapping, error) {
	values, err := dotenv.UnmarshalBytesWithLookup(content, env.Resolve)
	if err != nil {
		msg := oneLine(err.Error())
		if rest, ok := strings.CutPrefix(msg, "line "); ok { // the library counts lines
			if n, rest, ok := strings.Cut(rest, ": "); ok {
				return nil, fmt.Errorf("%s:%s: %s (write NAME=value)", path, n, rest)
			}
		}
		return nil, fmt.Errorf("%s:1: %s (write NAME=value)", path, msg)
	}
	return values, nil
}

// readSmall reads a file that a person wrote.
func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxCompose+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxCompose {
		return nil, fmt.Errorf("%s: has more than %d bytes", path, maxCompose)
	}
	return content, nil
}

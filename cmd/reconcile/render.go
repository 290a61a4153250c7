package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/jobspec"
)

func runRender(in *invocation) int {
	var vars, varFiles repeated
	var onlyVars bool
	in.flags.Var(&vars, "var", "a variable's value, `NAME=VALUE`; may be repeated")
	in.flags.Var(&varFiles, "var-file", "a `FILE` of variable values; may be repeated")
	in.flags.BoolVar(&onlyVars, "vars", false, "print a table of the variables, with the origin of each value, instead of the job")
	code, ok := in.parse("FILE", `
		Prints what a job file evaluates to, as the JSON of nomad job run -output. FILE may
		be - for standard input. NOMAD_VAR_name variables count, as they do for Nomad.`)
	if !ok {
		return code
	}
	if len(in.args) != 1 {
		return in.misuse("render takes one job file.")
	}
	name := in.args[0]
	src, err := in.readJobFile(name)
	if err != nil {
		return in.fail(err)
	}
	inputs, err := in.inputs(vars, varFiles)
	if err != nil {
		return in.fail(err)
	}
	files := map[string]*hcl.File{name: {Bytes: src}}
	for _, f := range inputs.VarFiles {
		files[f.Name] = &hcl.File{Bytes: f.Bytes}
	}
	f, diags := jobspec.Parse(name, src, inputs)
	if in.mistakes(diags, files) != exitOK {
		return exitError
	}
	in.mistakes(f.Warnings, files)
	if onlyVars {
		report.Variables(in.stdout, origins(f.Variables), in.out)
		return exitOK
	}
	out, err := f.Output()
	if err != nil {
		return in.fail(err)
	}
	in.print("%s\n", out)
	return exitOK
}

func origins(vars []jobspec.Variable) []reconcile.Variable {
	out := make([]reconcile.Variable, len(vars))
	for i, v := range vars {
		out[i] = reconcile.Variable{Name: v.Name, Origin: v.Origin, Value: v.Value}
	}
	return out
}

func (in *invocation) readJobFile(name string) ([]byte, error) {
	if name == "-" {
		src, err := io.ReadAll(in.stdin)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return src, nil
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading the job file %s: %w", name, unwrapPath(err))
	}
	return src, nil
}

// inputs: as Nomad's CLI does, filesystem functions look from the working
// directory and are not confined.
func (in *invocation) inputs(vars, varFiles []string) (jobspec.Inputs, error) {
	out := jobspec.Inputs{Env: in.environ, Vars: map[string]string{}, FS: jobspec.FS{Dirs: []string{"."}}}
	for _, v := range vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return out, fmt.Errorf("-var %s: a variable is given as NAME=VALUE", v)
		}
		out.Vars[name] = value
	}
	for _, name := range varFiles {
		data, err := os.ReadFile(name)
		if err != nil {
			return out, fmt.Errorf("reading the variable file %s: %w", name, unwrapPath(err))
		}
		out.VarFiles = append(out.VarFiles, jobspec.VarFile{Name: name, Bytes: data})
	}
	return out, nil
}

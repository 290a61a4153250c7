package jobspec

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// ParseSubmission is what Nomad keeps with a job as a job file, with the variables
// that were given to it. It reads no other file.
func ParseSubmission(sub *api.JobSubmission) (*File, hcl.Diagnostics) {
	in := Inputs{Vars: sub.VariableFlags, Lenient: true}
	if sub.Variables != "" {
		in.VarFiles = []VarFile{{Name: "submission.vars.hcl", Bytes: []byte(sub.Variables)}}
	}
	return Parse("submission", []byte(sub.Source), in)
}

// VarFile is a variable file that gives the job file of ParseSubmission the values
// which the submission gives it: the text that is there, byte for byte where no flag
// gives the same name, then a line for each flag. A flag that the job file does not
// declare is left out and its name is returned. An error says that there is no such
// file. Without values there is no text.
func (f *File) VarFile(sub *api.JobSubmission) (text []byte, undeclared []string, err error) {
	values := map[string]cty.Value{}
	for _, v := range f.Variables {
		values[v.Name] = v.Value
	}
	var lines bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(sub.VariableFlags)) {
		value, ok := values[name]
		if !ok {
			undeclared = append(undeclared, name)
			continue
		}
		written, ok := literal(value, quoteEscaped)
		if !ok {
			return nil, nil, fmt.Errorf("the value of the variable %q cannot be written down", name)
		}
		fmt.Fprintf(&lines, "%s = %s\n", name, written)
	}
	text = []byte(sub.Variables)
	if lines.Len() > 0 {
		if text, err = withoutNames(text, sub.VariableFlags); err != nil {
			return nil, nil, err
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			text = append(text, '\n')
		}
		text = append(text, lines.Bytes()...)
	}
	return text, undeclared, f.sameWith(text)
}

// sameWith: the job file evaluates to the same with the variable file alone.
func (f *File) sameWith(text []byte) error {
	in := Inputs{Lenient: true}
	if len(text) > 0 {
		in.VarFiles = []VarFile{{Name: "variables", Bytes: text}}
	}
	again, diags := Parse(f.Name, f.Bytes, in)
	if diags.HasErrors() {
		return fmt.Errorf("its variables cannot be written down so that they are read again: %s", diags[0].Summary)
	}
	if !job.Equal(f.Job, again.Job) {
		return fmt.Errorf("its variables, written down, make another job of it")
	}
	return nil
}

// withoutNames is the text of a variable file without the lines of these names; where
// it is JSON, in HCL.
func withoutNames(text []byte, names map[string]string) ([]byte, error) {
	f := VarFile{Name: "variables", Bytes: text}
	attrs, diags := varFileAttributes(f)
	if diags.HasErrors() {
		return nil, fmt.Errorf("its variables cannot be read: %s", diags[0].Summary)
	}
	if isJSON(text) {
		var out []byte
		for _, name := range slices.Sorted(maps.Keys(attrs)) {
			if _, gone := names[name]; !gone {
				out = append(out, f.line(name, attrs[name])...)
			}
		}
		return out, nil
	}
	var gone []hcl.Range
	for name, attr := range attrs {
		if _, ok := names[name]; ok {
			gone = append(gone, attr.Range)
		}
	}
	slices.SortFunc(gone, func(a, b hcl.Range) int { return cmp.Compare(b.Start.Byte, a.Start.Byte) })
	for _, at := range gone { // the last first, so that the others stay where they are
		text = slices.Delete(slices.Clone(text), at.Start.Byte, min(at.End.Byte, len(text)))
	}
	return text, nil
}

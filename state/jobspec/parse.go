package jobspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// VarFile is a file of NAME = VALUE lines, as `-var-file` names one.
type VarFile struct {
	Name  string
	Bytes []byte
}

// Inputs is what a job file's value depends on beside its own bytes. The zero
// value is valid: no variables are given, filesystem functions are refused.
type Inputs struct {
	Vars     map[string]string  // NAME -> VALUE as `-var` gives them; they win over all else
	VarFiles []VarFile          // a later file wins over an earlier one
	Env      []string           // KEY=VALUE; of these NOMAD_VAR_* matter
	Live     *api.JobSubmission // the live job's submission, whose variables win over defaults alone; may be nil
	FS       FS                 // where file() and the other filesystem functions look

	// Lenient passes over names in Vars and VarFiles that the job file does not
	// declare: they were given to many files at once. Otherwise such a name is an
	// error, as it is for Nomad's CLI.
	Lenient bool

	pinned bool // uuidv4() and the like give the same value each time
}

// File is a job file and what it evaluates to. It holds the syntax tree, some 70 KB
// for a file of 3 KB: keep what it says, not the File, where there are many. Its
// methods may not be called at the same time.
type File struct {
	Name       string
	Bytes      []byte
	Job        *api.Job           // as `nomad job run -output` prints it
	Submission *api.JobSubmission // what the CLI would register beside the job
	Variables  []Variable         // in the order of their names
	Warnings   hcl.Diagnostics    // what is odd, but Nomad accepts it
	UsesFS     bool               // calls filesystem functions, so that a server refuses to parse it
	Volatile   bool               // calls functions such as uuidv4(): each parse gives another job

	inputs  Inputs
	body    *hclsyntax.Body
	decoder *decoder
	traces  map[string]*trace // made when first asked for
	json    bool              // the file is JSON, and then:
	tree    *jsonValue        // in place of body and trace, made when first asked for
}

// Parse evaluates a job file, in HCL or JSON. Where the diagnostics hold an error
// there is no File; warnings are in File.Warnings. Of a file that is no job file,
// but something that Recognize knows, they say that and nothing else.
func Parse(name string, src []byte, in Inputs) (*File, hcl.Diagnostics) {
	if looksJSON(src) && IsJob(src) {
		return parseJSON(name, src, in)
	}
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, instead(name, src, tidy(diags))
	}
	body := parsed.Body.(*hclsyntax.Body)
	d := newDecoder(name, src, in)
	d.file(body)
	if diags = append(diags, d.diags...); diags.HasErrors() {
		return nil, instead(name, src, tidy(diags))
	}
	return &File{
		Name:       name,
		Bytes:      src,
		Job:        d.job,
		Submission: submission(src, in, d.vars.declared),
		Variables:  d.vars.list(),
		Warnings:   once(tidy(diags)),
		UsesFS:     d.usesFS,
		Volatile:   d.volatile,
		inputs:     in,
		body:       body,
		decoder:    d,
	}, nil
}

// traced walks the same syntax tree again, with the variables and locals that it
// has, to see where the things stand that a path leads through.
func (f *File) traced(p job.Path) *trace {
	head := p[:min(len(p), 2)] // a task, where it is about one
	t := f.traces[head.String()]
	if t == nil {
		t = &trace{head: head, places: map[string]place{}}
		d := *f.decoder
		d.trace, d.job, d.top, d.groups = t, &api.Job{}, extras{}, map[*api.TaskGroup]extras{}
		d.jobBlock(d.topBlocks(f.body))
		if f.traces == nil {
			f.traces = map[string]*trace{}
		}
		f.traces[head.String()] = t
	}
	return t
}

// Output is the JSON that `nomad job run -output` prints for the job, without a
// final newline.
func (f *File) Output() ([]byte, error) {
	out, err := json.MarshalIndent(struct{ Job *api.Job }{f.Job}, "", "    ")
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", f.Name, err)
	}
	return out, nil
}

var (
	jobHeader = regexp.MustCompile(`(?m)^[ \t]*job[ \t]+("[^"\n]*"|[\w-]+)[ \t]*\{`)
	// a job too, though nobody knows which
	templatedHeader = regexp.MustCompile(`(?m)^[ \t]*job[ \t]+"?(\[\[|\{\{|<%|\$)`)
)

// IsJob reports whether src holds a job block at its top level, however broken
// the rest is; variable files, policies and the like do not.
func IsJob(src []byte) bool {
	if looksJSON(src) {
		return isJSONJob(src)
	}
	src = trimBOM(src)
	at := jobHeader.FindIndex(src)
	if at == nil {
		at = templatedHeader.FindIndex(src)
	}
	if at == nil {
		return false
	}
	before := src[:at[0]]
	if src[at[0]] == 'j' && !bytes.Contains(before, []byte("<<")) && !bytes.Contains(before, []byte("/*")) {
		return true
	}
	return endsAtTop(before) || jobAtTop(src)
}

// endsAtTop reports whether what follows stands at the top level, by what is before
// it alone: that is mostly little. A slash may begin a comment without an end.
func endsAtTop(before []byte) bool {
	tokens, _ := hclsyntax.LexConfig(before, "", hcl.InitialPos)
	open := 0
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOHeredoc, hclsyntax.TokenOQuote, hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
			open++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCHeredoc, hclsyntax.TokenCQuote, hclsyntax.TokenCBrack, hclsyntax.TokenCParen:
			open--
		case hclsyntax.TokenSlash, hclsyntax.TokenInvalid:
			return false
		}
	}
	return open == 0
}

// jobAtTop looks with the lexer, which knows what is a comment or a heredoc.
func jobAtTop(src []byte) bool {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	depth := 0
	for i, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace:
			depth++
		case hclsyntax.TokenCBrace:
			depth = max(depth-1, 0)
		case hclsyntax.TokenIdent:
			if depth == 0 && string(t.Bytes) == "job" && i+1 < len(tokens) && opensLabel(tokens[i+1].Type) {
				return true
			}
		}
	}
	return false
}

func opensLabel(t hclsyntax.TokenType) bool {
	switch t {
	case hclsyntax.TokenOQuote, hclsyntax.TokenIdent, // and templates:
		hclsyntax.TokenOBrack, hclsyntax.TokenOBrace, hclsyntax.TokenLessThan, hclsyntax.TokenInvalid:
		return true
	}
	return false
}

func isJSON(src []byte) bool {
	trimmed := bytes.TrimLeft(src, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

package jobspec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// formatJSON is the submission format of a job that was registered from JSON.
const formatJSON = "json"

// looksJSON: no HCL file starts with a brace. Templates do, with two or with `{%`.
func looksJSON(src []byte) bool {
	src = bytes.TrimLeft(trimBOM(src), " \t\r\n")
	return len(src) > 0 && src[0] == '{' && (len(src) == 1 || src[1] != '{' && src[1] != '%')
}

func trimBOM(src []byte) []byte { return bytes.TrimPrefix(src, []byte("\uFEFF")) }

// eitherJob is both forms of a job in JSON: one inside "Job", as `nomad job run
// -output` and `nomad job inspect` print it, and the bare object.
type eitherJob struct {
	Nested *api.Job `json:"Job"`
	api.Job
}

// parseJSON reads a job as `nomad job run -json` does: names in any case, unknown
// ones passed over, the last of two counts, and nothing is filled in.
func parseJSON(name string, src []byte, in Inputs) (*File, hcl.Diagnostics) {
	f := &File{Name: name, Bytes: src, inputs: in, json: true}
	if !in.Lenient && len(in.Vars)+len(in.VarFiles) > 0 {
		return nil, errorAt(f.rangeAt(0, 0), "Variables for a JSON job file",
			"A job in JSON declares no variables, so none can be given; Nomad's CLI refuses this too.")
	}
	var either eitherJob
	if err := json.NewDecoder(bytes.NewReader(src)).Decode(&either); err != nil {
		return nil, f.jsonMistake(err)
	}
	if f.Job = either.Nested; f.Job == nil {
		f.Job = &either.Job
	}
	f.tree = readJSON(src)
	if diags := f.jsonGaps(); diags.HasErrors() {
		return nil, tidy(diags)
	}
	f.tree = nil // some need it, later
	f.Submission = &api.JobSubmission{Source: string(src), Format: formatJSON}
	return f, nil
}

// JSON reports whether the file is JSON, which a server does not parse and Edit
// does not edit.
func (f *File) JSON() bool { return f.json }

// jsonMistake is what the decoder says, at its place.
func (f *File) jsonMistake(err error) hcl.Diagnostics {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case bytes.HasPrefix(f.Bytes, []byte("\uFEFF")):
		return errorAt(f.rangeAt(0, 0), "Byte order mark before JSON", "Nomad does not read JSON with a byte order mark. Save the file without.")
	case errors.As(err, &wrong):
		at := f.jsonRange(readJSON(f.Bytes).at(int(wrong.Offset) - 1))
		return errorAt(at, "Wrong type", fmt.Sprintf("Here is %s; %s needs %s.%s", withArticle(wrong.Value), strings.TrimPrefix(wrong.Field, "Job."), jsonWords(wrong.Type), jsonHint(wrong)))
	case errors.As(err, &syntax):
		offset := max(int(syntax.Offset)-1, 0)
		if text, place, ok := jsonTemplate(f.Bytes, offset); ok {
			return unrendered(f.rangeAt(place, place+len(text)), text)
		}
		return errorAt(f.rangeAt(offset, offset+1), "Invalid JSON", "Nomad cannot read this: "+syntax.Error()+".")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errorAt(f.rangeAt(len(f.Bytes), len(f.Bytes)), "Invalid JSON", "The file ends before its first object does.")
	}
	return errorAt(f.rangeAt(0, 0), "Invalid JSON", "Nomad cannot read this: "+err.Error()+".")
}

// jsonTemplate is the opening of a template around which JSON stops being JSON.
func jsonTemplate(src []byte, offset int) (text string, at int, ok bool) {
	from := max(offset-4, 0)
	near := string(src[from:min(offset+2, len(src))])
	for _, open := range []string{"[[", "{{", "{%", "${", "<%"} {
		if i := strings.Index(near, open); i >= 0 {
			return open, from + i, true
		}
	}
	return "", 0, false
}

func jsonWords(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch k := t.Kind(); {
	case k == reflect.String:
		return "a string"
	case k == reflect.Bool:
		return "true or false"
	case k == reflect.Slice:
		return "a list"
	case k == reflect.Float32, k == reflect.Float64:
		return "a number"
	case reflect.Int <= k && k <= reflect.Uint64:
		return "a whole number"
	}
	return "an object"
}

func jsonHint(wrong *json.UnmarshalTypeError) string {
	if wrong.Type == reflect.TypeFor[time.Duration]() {
		return " A duration is a number of nanoseconds in JSON."
	}
	return ""
}

// jsonGaps: Nomad's CLI reads a null for a group, and a job without an ID, and
// then its server refuses the job.
func (f *File) jsonGaps() hcl.Diagnostics {
	body := f.tree.jobBody()
	diags := f.nulls(reflect.TypeFor[api.Job](), body)
	if f.Job.ID == nil || *f.Job.ID == "" {
		detail := "A job in JSON needs an \"ID\"."
		if body.get("TaskGroups") == nil {
			detail += " This may be another way to write a job: Nomad reads JSON as `nomad job run -output` prints it."
		}
		diags = append(diags, errorAt(f.jsonRange(body), "Job without ID", detail)...)
	}
	for i, g := range f.Job.TaskGroups {
		if g != nil && g.Name == nil {
			at := f.jsonRange(body.get("TaskGroups").elem(i))
			diags = append(diags, errorAt(at, "Group without name", "Every task group needs a \"Name\".")...)
		}
	}
	return diags
}

// nulls are those in lists and maps of objects.
func (f *File) nulls(t reflect.Type, v *jsonValue) hcl.Diagnostics {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var diags hcl.Diagnostics
	inner := func(t reflect.Type, v *jsonValue) {
		if t.Kind() == reflect.Pointer && v.kind == 'n' {
			diags = append(diags, errorAt(f.jsonRange(v), "Null in a list", "Here is null instead of "+jsonWords(t)+". Leave it out.")...)
			return
		}
		diags = append(diags, f.nulls(t, v)...)
	}
	switch {
	case v == nil:
	case t.Kind() == reflect.Slice:
		for _, e := range v.elems {
			inner(t.Elem(), e)
		}
	case t.Kind() == reflect.Map && v.kind == '{':
		for _, m := range v.members {
			inner(t.Elem(), m.value)
		}
	case t.Kind() == reflect.Struct:
		for _, m := range v.members {
			if sf, ok := t.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, m.key) }); ok {
				diags = append(diags, f.nulls(sf.Type, m.value)...)
			}
		}
	}
	return diags
}

// isJSONJob reports whether JSON holds a job in one of the two forms, as far as it
// can be read.
func isJSONJob(src []byte) bool {
	root := readJSON(trimBOM(src))
	if job := root.get("Job"); job != nil && (job.kind == '{' || job.kind == 0) {
		return true
	}
	return root.get("TaskGroups") != nil
}

// jsonName is the ID of the job, as far as the file can be read.
func jsonName(src []byte) string {
	id := readJSON(trimBOM(src)).jobBody().get("ID")
	if id == nil {
		return ""
	}
	return id.text
}

// handEdit: JSON is checked and registered, but no edit of it is tried.
func (f *File) handEdit(at hcl.Range) hcl.Diagnostics {
	return errorAt(at, "JSON job file", "It is checked and registered, but not edited: mend it by hand, or write it as HCL.")
}

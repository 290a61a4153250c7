package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// fields says, for one block, which attributes it has and what takes each.
type fields map[string]func(*hcl.Attribute) hcl.Diagnostics

// The blocks that may stand once, without labels.
var blocks = map[string]func(*Config) fields{
	"nomad":  nomadFields,
	"state":  stateFields,
	"backup": backupFields,
	"sync":   syncFields,
	"limits": limitsFields,
	"log":    logFields,
	"http":   httpFields,
	"calm":   calmFields,
}

// checks look at a block as a whole, once each of its attributes is fine.
var checks = map[string]func(*Config, *hcl.Block) hcl.Diagnostics{
	"http": checkHTTP,
	"calm": checkCalm,
}

// Load is the configuration that src says, a file the user calls path. Mistakes
// are diagnostics with their place; with one of them there is no Config.
func Load(path string, src []byte) (*Config, hcl.Diagnostics) {
	file, diags := hclsyntax.ParseConfig(src, path, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	c := Default(filepath.Dir(path))
	c.Path = path
	diags = append(diags, c.decode(file.Body)...)
	if diags.HasErrors() {
		return nil, diags
	}
	return c, diags
}

func (c *Config) decode(body hcl.Body) hcl.Diagnostics {
	schema := attributes(topFields(c))
	schema.Blocks = []hcl.BlockHeaderSchema{
		{Type: "source", LabelNames: []string{"kind", "name"}}, {Type: "library", LabelNames: []string{"name"}},
	}
	for _, name := range slices.Sorted(maps.Keys(blocks)) {
		schema.Blocks = append(schema.Blocks, hcl.BlockHeaderSchema{Type: name})
	}
	content, diags := body.Content(schema)
	diags = append(diags, take(content.Attributes, topFields(c))...)
	seen := map[string]*hcl.Block{}
	for _, block := range content.Blocks {
		name := block.Type
		if n := len(block.Labels); n > 0 {
			name += " " + block.Labels[n-1]
		}
		if first := seen[name]; first != nil {
			diags = append(diags, duplicate(first, block))
			continue
		}
		seen[name] = block
		diags = append(diags, c.decodeBlock(block)...)
	}
	return diags
}

func (c *Config) decodeBlock(block *hcl.Block) hcl.Diagnostics {
	switch block.Type {
	case "source":
		return c.decodeSource(block)
	case "library":
		return c.decodeLibrary(block)
	}
	diags := decodeBody(block.Body, blocks[block.Type](c))
	if check := checks[block.Type]; check != nil && !diags.HasErrors() {
		diags = append(diags, check(c, block)...)
	}
	return diags
}

// attributeRange is where the value of an attribute stands that the block has.
func attributeRange(block *hcl.Block, name string) hcl.Range {
	attrs, _ := block.Body.JustAttributes()
	return attrs[name].Expr.Range()
}

func (c *Config) decodeSource(block *hcl.Block) hcl.Diagnostics {
	kind, name := block.Labels[0], block.Labels[1]
	if kind != "directory" && kind != nomadKind {
		return mistake(block.LabelRanges[0], "Unknown kind of source",
			fmt.Sprintf("There is no source of the kind %q; write `source \"directory\" %q` for a folder of job files, or `source \"nomad\" %q` for registered jobs without a file.", kind, name, name))
	}
	if name == "" {
		return mistake(block.LabelRanges[1], "Source without a name", "Give the source a name, such as \"jobs\"; reports call it by that name.")
	}
	if kind == nomadKind {
		return c.decodeNomadSource(block)
	}
	s := Source{
		Name: name, Path: within(c.dir(), name), Namespace: "default",
		Include: DefaultInclude(), Exclude: DefaultExclude(),
	}
	diags := decodeBody(block.Body, sourceFields(c.dir(), &s))
	c.Sources = append(c.Sources, s)
	return diags
}

func (c *Config) dir() string { return filepath.Dir(c.Path) }

func topFields(c *Config) fields {
	return fields{
		"policies":    policyPaths(c),
		"policy_vars": policyVars(&c.PolicyVars),
		"interval":    duration(&c.Interval, true),
		"settle":      duration(&c.Settle, false),
		"shutdown":    duration(&c.Shutdown, true),
	}
}

func policyPaths(c *Config) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		c.PoliciesDefault = false
		return pathList(c.dir(), &c.Policies)(attr)
	}
}

func nomadFields(c *Config) fields {
	return fields{
		"address":    address(&c.Nomad.Address),
		"namespaces": namespaces(&c.Nomad.Namespaces),
	}
}

func sourceFields(dir string, s *Source) fields {
	return fields{
		"path":       path(dir, &s.Path),
		"include":    globs(&s.Include),
		"exclude":    globs(&s.Exclude),
		"namespace":  text(&s.Namespace),
		"var":        vars(&s.Vars),
		"var_files":  varFiles(dir, &s.VarFiles),
		"job_vars":   jobVars(dir, &s.JobVars),
		"files_from": oneOf(&s.FilesFrom, "job", "source"),
	}
}

func stateFields(c *Config) fields {
	return fields{"dir": path(c.dir(), &c.State.Dir), "keep": count(&c.State.Keep), "keep_for": duration(&c.State.KeepFor, true)}
}

func backupFields(c *Config) fields {
	return fields{"beside": boolean(&c.Backup.Beside)}
}

func syncFields(c *Config) fields {
	return fields{
		"fix":    oneOf(&c.Sync.Fix, "report", "apply"),
		"drift":  oneOf(&c.Sync.Drift, "report", "correct", "ignore"),
		"create": oneOf(&c.Sync.Create, "report", "register"),
		"prune":  oneOf(&c.Sync.Prune, "report", "stop"),
	}
}

func limitsFields(c *Config) fields {
	return fields{"concurrency": count(&c.Limits.Concurrency), "max_changes": count(&c.Limits.MaxChanges)}
}

func logFields(c *Config) fields {
	return fields{
		"level":  oneOf(&c.Log.Level, "debug", "info", "warn", "error"),
		"format": oneOf(&c.Log.Format, "text", "json"),
	}
}

func attributes(f fields) *hcl.BodySchema {
	schema := &hcl.BodySchema{}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: name})
	}
	return schema
}

func decodeBody(body hcl.Body, f fields) hcl.Diagnostics {
	content, diags := body.Content(attributes(f))
	return append(diags, take(content.Attributes, f)...)
}

// take hands out attributes in a fixed order, so that diagnostics have one too.
func take(attrs hcl.Attributes, f fields) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		diags = append(diags, f[name](attrs[name])...)
	}
	return diags
}

func duplicate(first, again *hcl.Block) *hcl.Diagnostic {
	what := again.Type + " block"
	next := "merge the two"
	switch again.Type {
	case "source":
		what = fmt.Sprintf("source %q", again.Labels[1])
		next = "give this one another name"
	case "library":
		what = fmt.Sprintf("library %q", again.Labels[0])
	}
	return &hcl.Diagnostic{
		Severity: hcl.DiagError,
		Summary:  "Duplicate " + what,
		Detail:   fmt.Sprintf("There is a %s already, on line %d; %s.", what, first.DefRange.Start.Line, next),
		Subject:  again.DefRange.Ptr(),
	}
}

func mistake(at hcl.Range, summary, detail string) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: at.Ptr()}}
}

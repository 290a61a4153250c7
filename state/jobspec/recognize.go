package jobspec

import (
	"bytes"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Foreign is what a file that holds no job looks like.
type Foreign struct {
	Kind   string // in the singular, to be counted: "variable file"
	Sign   string // what it is known by
	Next   string // what to do with it
	Range  hcl.Range
	unsure bool // an HCL file of which HCL itself says more
}

// String says both in a line, behind "it".
func (f Foreign) String() string { return "looks like " + withArticle(f.Kind) + ": " + f.Sign }

func withArticle(noun string) string {
	if strings.ContainsRune("aeioAEIO", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

const leaveOut = "leave it out with exclude in the source block"

// Recognize tells what a file is that IsJob says holds no job.
func Recognize(name string, src []byte) Foreign {
	f := recognize(name, src)
	if f.Next == "" {
		f.Next = leaveOut
	}
	if f.Range == (hcl.Range{}) {
		f.Range = hcl.Range{Start: hcl.InitialPos, End: hcl.InitialPos}
	}
	f.Range.Filename = name
	return f
}

func recognize(name string, src []byte) Foreign {
	if f, ok := notHCL(src); ok {
		return f
	}
	if k := byName[strings.ToLower(filepath.Ext(name))]; k != "" {
		return Foreign{Kind: k, Sign: "its name says so"}
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	top, stray := topLevel(tokens)
	// $NAME is a template's only among HCL: every shell script has it.
	if text, at, ok := tellTale(src, tokens); ok && (text[0] != '$' || stray == nil) {
		return Foreign{Kind: "template", Sign: templateSign(text), Next: "render it first and check what comes out, or " + leaveOut, Range: at}
	}
	for _, k := range kinds {
		if at, ok := k.of(top); ok && !(k.whole && stray != nil) {
			return Foreign{Kind: k.kind, Sign: k.sign, Next: k.next, Range: at}
		}
	}
	switch {
	case stray != nil:
		return textFile(src, *stray)
	case len(top) == 0:
		return Foreign{Kind: "empty file", Sign: "it holds comments alone"}
	}
	return Foreign{Kind: "file of another kind", Sign: "HCL without a job block at its top level", Range: top[0].at, unsure: true}
}

// instead is what a file's mistakes come from where they come from one: it is
// something else, or a template.
func instead(name string, src []byte, diags hcl.Diagnostics) hcl.Diagnostics {
	if !IsJob(src) {
		f := Recognize(name, src)
		switch {
		case f.unsure:
			return diags
		case f.Kind == "template":
			return unrendered(f.Range, string(src[f.Range.Start.Byte:f.Range.End.Byte]))
		}
		return errorAt(f.Range, "No job in this file", "It "+f.String()+". "+strings.ToUpper(f.Next[:1])+f.Next[1:]+".")
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	if text, at, ok := tellTale(src, tokens); ok {
		return unrendered(at, text)
	}
	return diags
}

func unrendered(at hcl.Range, text string) hcl.Diagnostics {
	return errorAt(at, "Unrendered template", "This looks like an unrendered template: "+templateSign(text)+
		". Render it first and check what comes out, or "+leaveOut+".")
}

func templateSign(text string) string {
	by := "a template language"
	switch {
	case text == "[[":
		by = "levant and nomad-pack"
	case text == "{{":
		by = "Go templates (consul-template, Helm) and Jinja (Ansible)"
	case text == "{%":
		by = "Jinja (Ansible)"
	case text == "%{":
		by = "Terraform's templatefile"
	case text == "${":
		by = "Terraform's templatefile and envsubst"
	case text == "<%":
		by = "ERB"
	case text[0] == '$':
		by = "envsubst"
	}
	return "`" + text + "` outside of a string is how " + by + " mark what is to be filled in"
}

// notHCL recognizes what is not worth lexing.
func notHCL(src []byte) (Foreign, bool) {
	text := trimBOM(src)
	switch {
	case len(bytes.TrimSpace(text)) == 0:
		return Foreign{Kind: "empty file", Sign: "it holds nothing"}, true
	case bytes.HasPrefix(src, []byte("\xff\xfe")), bytes.HasPrefix(src, []byte("\xfe\xff")):
		return Foreign{Kind: "UTF-16 file", Sign: "its byte order mark says so, and job files are UTF-8", Next: "save it as UTF-8"}, true
	case bytes.IndexByte(src, 0) >= 0, !utf8.Valid(src):
		return Foreign{Kind: "binary file", Sign: "it is not text in UTF-8"}, true
	case bytes.HasPrefix(text, []byte("#!")):
		return Foreign{Kind: "script", Sign: "its first line begins with #!"}, true
	case looksJSON(src):
		return Foreign{Kind: "JSON file of another kind", Sign: `it has neither "Job" nor "TaskGroups"`}, true
	}
	return Foreign{}, false
}

// tellTale is the first mark of a template language outside of strings, heredocs
// and comments, or in a string that the template's own quotes have cut. No file
// that has one parses.
func tellTale(src []byte, tokens hclsyntax.Tokens) (string, hcl.Range, bool) {
	within := 0 // strings, heredocs and what is interpolated there
	for i := 0; i+1 < len(tokens); i++ {
		switch tokens[i].Type {
		case hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			within++
		case hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc, hclsyntax.TokenTemplateSeqEnd:
			within--
		case hclsyntax.TokenQuotedLit:
			if text, at, ok := cutString(tokens[i:]); ok {
				return text, at, true
			}
		}
		if within == 0 && adjacent(tokens[i], tokens[i+1]) && isMark(src, tokens, i) {
			at := hcl.RangeBetween(tokens[i].Range, tokens[i+1].Range)
			return string(src[at.Start.Byte:at.End.Byte]), at, true
		}
	}
	return "", hcl.Range{}, false
}

func adjacent(a, b hclsyntax.Token) bool { return a.Range.End.Byte == b.Range.Start.Byte }

var templateMarks = []struct{ open, shut string }{{"[[", "]]"}, {"{{", "}}"}, {"<%", "%>"}}

// cutString: "[[ var "x" . ]]" is two strings to HCL, and a name right behind the
// first one's quote.
func cutString(tokens hclsyntax.Tokens) (string, hcl.Range, bool) {
	if len(tokens) < 3 || tokens[1].Type != hclsyntax.TokenCQuote || tokens[2].Type != hclsyntax.TokenIdent || !adjacent(tokens[1], tokens[2]) {
		return "", hcl.Range{}, false
	}
	lit := tokens[0]
	for _, m := range templateMarks {
		at := bytes.LastIndex(lit.Bytes, []byte(m.open))
		if at >= 0 && at > bytes.LastIndex(lit.Bytes, []byte(m.shut)) {
			start := lit.Range.Start
			start.Byte += at
			start.Column += utf8.RuneCount(lit.Bytes[:at])
			end := start
			end.Byte, end.Column = end.Byte+len(m.open), end.Column+len(m.open)
			return m.open, hcl.Range{Filename: lit.Range.Filename, Start: start, End: end}, true
		}
	}
	return "", hcl.Range{}, false
}

// isMark: the i-th token and the next, which stand side by side, open a template.
func isMark(src []byte, tokens hclsyntax.Tokens, i int) bool {
	t, next := tokens[i], tokens[i+1]
	if i > 0 && tokens[i-1].Type == t.Type && adjacent(tokens[i-1], t) {
		return false // a third bracket
	}
	rest := src[next.Range.End.Byte:]
	switch text := string(t.Bytes) + string(next.Bytes); text {
	case "{{":
		return bytes.Contains(rest, []byte("}}"))
	case "{%":
		return bytes.Contains(rest, []byte("%}"))
	case "<%":
		return bytes.Contains(rest, []byte("%>"))
	case "%{":
		return bytes.Contains(rest, []byte("}"))
	case "[[":
		return bytes.Contains(rest, []byte("]]")) && !isList(src, tokens, i)
	}
	return string(t.Bytes) == "$" && (next.Type == hclsyntax.TokenOBrace || next.Type == hclsyntax.TokenIdent)
}

// isList: a list of lists begins with two brackets too, where a value may stand.
func isList(src []byte, tokens hclsyntax.Tokens, i int) bool {
	if i == 0 {
		return false
	}
	switch before := tokens[i-1]; before.Type {
	case hclsyntax.TokenNewline, hclsyntax.TokenComment, hclsyntax.TokenOBrace:
		return false
	case hclsyntax.TokenIdent:
		if !adjacent(before, tokens[i]) {
			return false
		}
	}
	depth := 0
	for _, t := range tokens[i:] {
		switch t.Type {
		case hclsyntax.TokenOBrack:
			depth++
		case hclsyntax.TokenCBrack:
			depth--
		}
		if depth == 0 {
			_, diags := hclsyntax.ParseExpression(src[tokens[i].Range.Start.Byte:t.Range.End.Byte], "", hcl.InitialPos)
			return !diags.HasErrors()
		}
	}
	return true // nobody knows
}

// item is an attribute or a block at the top level of a file that may be broken.
type item struct {
	name   string
	labels int
	block  bool
	inside []string // names directly in the block
	at     hcl.Range
}

// topLevel finds them by their tokens alone. stray is the first of what is neither,
// nil if there is nothing.
func topLevel(tokens hclsyntax.Tokens) (items []item, stray *hcl.Range) {
	depth := 0
	fresh := true // the line, or the block, has just begun
	for i, t := range tokens {
		if t.Type == hclsyntax.TokenNewline || t.Type == hclsyntax.TokenComment || t.Type == hclsyntax.TokenEOF {
			fresh = true
			continue
		}
		if fresh && depth <= 1 {
			it, ok := itemAt(tokens[i:])
			switch last := len(items) - 1; {
			case depth == 0 && ok:
				items = append(items, it)
			case depth == 0 && stray == nil && !shuts(t.Type):
				stray = &tokens[i].Range
			case depth == 1 && ok && last >= 0 && items[last].block:
				items[last].inside = append(items[last].inside, it.name)
			}
		}
		switch {
		case t.Type == hclsyntax.TokenOBrace, t.Type == hclsyntax.TokenOBrack, t.Type == hclsyntax.TokenOParen:
			depth++
		case shuts(t.Type):
			depth = max(depth-1, 0)
		}
		fresh = t.Type == hclsyntax.TokenOBrace
	}
	return items, stray
}

func shuts(t hclsyntax.TokenType) bool {
	return t == hclsyntax.TokenCBrace || t == hclsyntax.TokenCBrack || t == hclsyntax.TokenCParen
}

func itemAt(tokens hclsyntax.Tokens) (item, bool) {
	if tokens[0].Type != hclsyntax.TokenIdent {
		return item{}, false
	}
	it := item{name: string(tokens[0].Bytes), at: tokens[0].Range}
	for i, t := range tokens[1:] {
		switch t.Type {
		case hclsyntax.TokenEqual:
			return it, i == 0
		case hclsyntax.TokenOBrace:
			it.block = true
			return it, true
		case hclsyntax.TokenIdent, hclsyntax.TokenOQuote:
			it.labels++
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenCQuote:
		default:
			return it, false
		}
	}
	return it, false
}

// kind is a kind of HCL file and what it is known by: any of the blocks (NAME, or
// NAME/LABELS), any of the attributes, or a block with one of these inside.
type kind struct {
	kind, sign, next      string
	blocks, attrs, inside []string
	whole                 bool // nothing else may be there
}

// kinds are asked in order.
var kinds = []kind{
	{kind: "policy test file", sign: "it holds test blocks", blocks: []string{"test/1"}},
	{kind: "policy file", sign: "it holds policy or rollout blocks", next: "name it in policies, or with -policy", blocks: []string{"policy/1", "rollout/1"}},
	{kind: "Terraform file", sign: "it holds blocks of Terraform", blocks: []string{"resource/2", "provider/1", "terraform/0", "module/1", "data/2", "output/1", "moved/0"}},
	{kind: "Packer file", sign: "it holds blocks of Packer", blocks: []string{"packer/0", "build/0"}},
	{kind: "reconcile configuration", sign: "it holds blocks of reconcile.hcl", next: "name it with -config", blocks: []string{"source/2", "library/1", "sync/0", "backup/0"}, attrs: []string{"policies", "policy_vars"}},
	{kind: "nomad-pack metadata file", sign: "it describes a pack", blocks: []string{"pack/0"}},
	{kind: "autoscaler file", sign: "it holds blocks of the Nomad autoscaler", blocks: []string{"scaling/1", "apm/1", "strategy/1"}},
	{kind: "ACL policy file", sign: "its blocks give capabilities", inside: []string{"policy", "capabilities"}},
	{
		kind: "Nomad resource file", sign: "it describes a volume, quota, namespace, node pool or variables, not a job",
		blocks: []string{"capability/0", "mount_options/0", "topology_request/0", "limit/0", "capabilities/0", "node_pool/1", "node_pool_config/0", "items/0"},
		attrs:  []string{"plugin_id", "capacity_min", "items"},
	},
	{
		kind: "Consul or Vault configuration", sign: "it holds settings of Consul or Vault",
		blocks: []string{"storage/1", "listener/1", "seal/1", "connect/0"}, attrs: []string{"Kind", "bootstrap_expect", "client_addr", "disable_mlock", "cluster_addr"},
	},
	{
		kind: "Nomad agent configuration", sign: "it holds settings of a Nomad agent",
		blocks: []string{
			"server/0", "client/0", "plugin/1", "ports/0", "addresses/0", "advertise/0", "telemetry/0", "tls/0", "acl/0", "autopilot/0",
			"audit/0", "ui/0", "consul/0", "vault/0", "keyring/1", "limits/0", "rpc/0", "sentinel/0", "reporting/0",
		},
	},
	{kind: "reconcile configuration", sign: "it holds blocks of reconcile.hcl", next: "name it with -config", blocks: []string{"nomad/0", "state/0"}},
	{kind: "variable file", sign: "it holds lines NAME = VALUE alone", next: "pass it with -var-file, or name it in var_files of the source block", whole: true},
}

func (k kind) of(items []item) (hcl.Range, bool) {
	if k.whole {
		if len(items) == 0 || slices.ContainsFunc(items, func(it item) bool { return it.block }) {
			return hcl.Range{}, false
		}
		return items[0].at, true
	}
	for _, it := range items {
		if k.knows(it) {
			return it.at, true
		}
	}
	return hcl.Range{}, false
}

func (k kind) knows(it item) bool {
	if !it.block {
		return slices.Contains(k.attrs, it.name)
	}
	return slices.Contains(k.blocks, it.name+"/"+string(rune('0'+min(it.labels, 9)))) ||
		slices.ContainsFunc(k.inside, func(name string) bool { return slices.Contains(it.inside, name) })
}

var (
	markdown = regexp.MustCompile("(?m)^(```|#{1,6} .*\n\n|\\[.*\\]\\(.*\\)|[*-] \\w)")
	yaml     = regexp.MustCompile(`(?m)^(---[ \t]*$|[ ]*- \w|[\w-]+:([ \t]|$))`)
)

// byName are the kinds that are known by the end of a file's name.
var byName = map[string]string{
	".md": "Markdown file", ".markdown": "Markdown file", ".yaml": "YAML file", ".yml": "YAML file", ".tf": "Terraform file",
}

// textFile recognizes what is no HCL, which stray shows first, by its lines.
func textFile(src []byte, stray hcl.Range) Foreign {
	text := bytes.TrimLeft(trimBOM(src), " \t\r\n")
	switch {
	case text[0] == '<':
		return Foreign{Kind: "markup file", Sign: "it begins with <"}
	case text[0] == '[':
		return Foreign{Kind: "JSON, TOML or INI file", Sign: "it begins with ["}
	case bytes.HasPrefix(text, []byte("---")), len(yaml.FindAllIndex(text, 2)) == 2 && !markdown.Match(text):
		return Foreign{Kind: "YAML file", Sign: "its lines are KEY: VALUE or - ITEM"}
	case markdown.Match(text):
		return Foreign{Kind: "Markdown file", Sign: "it has headings, lists or links"}
	}
	return Foreign{Kind: "text file", Sign: "it is no HCL", Range: stray}
}

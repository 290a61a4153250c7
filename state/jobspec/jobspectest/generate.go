// Package jobspectest makes job files in any number, as varied as those that
// people write, and measures what is done with them against the parse of their
// HCL alone. It is for tests and benchmarks, of this project and of what it is
// compared with.
package jobspectest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// File is one generated job file.
type File struct {
	Name  string // of the file, without a folder
	Bytes []byte
	Sudo  bool // a task asks sudo to preserve its caller's environment
}

// The size of a file in bytes, at least and at most.
const (
	MinSize = 2048
	MaxSize = 4000
)

// sudoEvery: of each so many files in a row, one has Sudo.
const sudoEvery = 5

// Generate makes the first n files of a sequence that is the same in every run.
// They differ in the ID of their job, and in all else that chance made different.
func Generate(n int) []File {
	out := make([]File, n)
	for i := range out {
		out[i] = generate(i)
	}
	return out
}

// Write puts what Generate(n) makes into an existing folder.
func Write(dir string, n int) error {
	for i := range n {
		f := generate(i)
		if err := os.WriteFile(filepath.Join(dir, f.Name), f.Bytes, 0o644); err != nil {
			return fmt.Errorf("writing generated job files: %w", err)
		}
	}
	return nil
}

func generate(i int) File {
	d := &draft{r: rand.New(rand.NewPCG(2, uint64(i))), i: i}
	turn := rand.New(rand.NewPCG(5, uint64(i/sudoEvery))).IntN(sudoEvery)
	f := File{Sudo: i%sudoEvery == turn}
	d.skeleton()
	if f.Sudo {
		d.preservingTask()
	} else if d.chance(8) {
		d.harmlessSudoTask()
	}
	f.Name = fmt.Sprintf("%05d-%s%s", i, d.app, d.pick(".nomad.hcl", ".hcl"))
	f.Bytes = d.fill()
	return f
}

// fill adds what a job may have as well until the file is as large as chance
// wants it; most are small, some are large.
func (d *draft) fill() []byte {
	target := MinSize + 20 + d.r.IntN(750)
	if d.chance(20) {
		target = MinSize + 600 + d.r.IntN(900)
	}
	extras := d.extras()
	d.r.Shuffle(len(extras), func(i, j int) { extras[i], extras[j] = extras[j], extras[i] })
	src := d.render()
	for k := 0; len(src) < target; k++ {
		if k < len(extras) {
			extras[k]()
		} else {
			d.anyTask().setEnv(d)
		}
		src = d.render()
	}
	return []byte(src)
}

// draft is a job file in parts, none of them indented yet.
type draft struct {
	r      *rand.Rand
	i      int
	app    string   // what the job is about
	id     string   // of the job
	kind   string   // the job's type
	values []string // expressions that a string may be made of
	head   []string // before the job
	body   []string // in the job, before its groups
	groups []*group
}

type group struct {
	name  string
	body  []string
	tasks []*task
}

type task struct {
	name, driver string
	config       []string // lines
	env          []string // lines KEY = VALUE, aligned
	keys         map[string]bool
	envMap       bool // env = {}, not env {}
	body         []string
}

func (d *draft) pick(of ...string) string { return of[d.r.IntN(len(of))] }

// chance is true in so many of 100 cases.
func (d *draft) chance(percent int) bool { return d.r.IntN(100) < percent }

func (d *draft) anyGroup() *group { return d.groups[d.r.IntN(len(d.groups))] }

func (d *draft) anyTask() *task {
	g := d.anyGroup()
	return g.tasks[d.r.IntN(len(g.tasks))]
}

// comment is one in any of HCL's three styles.
func (d *draft) comment(text string) string {
	switch d.r.IntN(5) {
	case 0:
		return "// " + text
	case 1:
		return "/* " + text + " */"
	}
	return "# " + text
}

// remark is something that people write beside their code.
func (d *draft) remark() string {
	if d.i%12 == 7 {
		return d.comment(d.pick(chinese...))
	}
	return d.comment(d.pick(english...))
}

var english = []string{
	"Do not raise this without asking the platform team.",
	"TEAM-4711: goes away once the new cluster is there",
	"keep in step with the load balancer",
	"measured on production in March, see the runbook",
	"the old name is still used by dashboards",
	"Owner: billing. Pager: second floor.",
}

var chinese = []string{
	"主进程：处理订单，重启前请通知值班人员。",
	"配置由平台组维护，修改后需要重新部署",
	"端口与负载均衡保持一致",
	"环境变量：见运维手册第三章",
}

var leadingSpaces = regexp.MustCompile(`(?m)^(  )+`)

// render puts the parts together.
func (d *draft) render() string {
	p := &printer{}
	for _, part := range d.head {
		p.put(0, part)
		p.line("")
	}
	p.line(fmt.Sprintf("job %q {", d.id))
	for _, part := range d.body {
		p.put(1, part)
	}
	for _, g := range d.groups {
		p.line("")
		g.render(p)
	}
	p.line("}")
	src := p.String()
	switch {
	case d.i%23 == 3:
		src = strings.ReplaceAll(src, "\n", "\r\n")
	case d.i%31 == 4:
		src = leadingSpaces.ReplaceAllStringFunc(src, func(s string) string { return strings.Repeat("\t", len(s)/2) })
	}
	if d.i%17 == 6 {
		src = strings.TrimRight(src, "\r\n")
	}
	return src
}

func (g *group) render(p *printer) {
	p.put(1, fmt.Sprintf("group %q {", g.name))
	for _, part := range g.body {
		p.put(2, part)
	}
	for _, t := range g.tasks {
		p.line("")
		t.render(p)
	}
	p.put(1, "}")
}

func (t *task) render(p *printer) {
	p.put(2, fmt.Sprintf("task %q {", t.name))
	p.put(3, fmt.Sprintf("driver = %q", t.driver))
	p.line("")
	p.block("config {", t.config)
	if len(t.env) > 0 {
		open := "env {"
		if t.envMap {
			open = "env = {"
		}
		p.block(open, t.env)
	}
	for _, part := range t.body {
		p.line("")
		p.put(3, part)
	}
	p.put(2, "}")
}

// printer indents.
type printer struct {
	strings.Builder
	heredoc string // the marker that ends the text we are in, which stays as it is
}

func (p *printer) line(s string) {
	p.WriteString(s)
	p.WriteByte('\n')
}

// put writes lines, so many levels deep.
func (p *printer) put(level int, text string) {
	for _, s := range strings.Split(text, "\n") {
		if p.heredoc == "" && s != "" {
			p.WriteString(strings.Repeat("  ", level))
		}
		p.line(s)
		if _, marker, begins := strings.Cut(s, "<<"); begins && !strings.HasPrefix(marker, "-") {
			p.heredoc = marker
		} else if s == p.heredoc {
			p.heredoc = ""
		}
	}
}

// block writes one of a task.
func (p *printer) block(open string, lines []string) {
	p.put(3, open)
	p.put(4, strings.Join(lines, "\n"))
	p.put(3, "}")
}

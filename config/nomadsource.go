package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

const nomadKind = "nomad"

// NomadSource names registered jobs that are put under policy without a job file.
// Its globs are those of policies: `*` stands for any text, `/` included.
type NomadSource struct {
	Name       string
	Jobs       []string // globs over job IDs
	Namespaces []string // globs; none for all that are ours
	Exclude    []string // globs over job IDs that win over Jobs
}

func nomadSourceFields(s *NomadSource) fields {
	return fields{
		"job":       jobGlobs(&s.Jobs),
		"namespace": jobGlobs(&s.Namespaces),
		"exclude":   jobGlobs(&s.Exclude),
	}
}

func (c *Config) decodeNomadSource(block *hcl.Block) hcl.Diagnostics {
	s := NomadSource{Name: block.Labels[1]}
	diags := decodeBody(block.Body, nomadSourceFields(&s))
	if !diags.HasErrors() && len(s.Jobs) == 0 {
		return mistake(block.DefRange, "Source without jobs",
			fmt.Sprintf("Say which registered jobs `source \"nomad\" %q` is for: `job = [\"web-*\"]`, or `job = [\"*\"]` for all of them.", s.Name))
	}
	c.Nomads = append(c.Nomads, s)
	return diags
}

// jobGlobs takes globs in which nothing but `*` and `?` has a meaning, so that every
// text is one.
func jobGlobs(into *[]string) taker {
	return func(attr *hcl.Attribute) hcl.Diagnostics {
		list, diags := stringList(attr, `a list of globs, such as ["web-*"]`)
		*into = list
		return diags
	}
}

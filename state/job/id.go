package job

import (
	"cmp"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// DefaultNamespace is where Nomad puts a job that names no namespace.
const DefaultNamespace = "default"

// ID says which job: Nomad's job IDs are unique within a namespace. A name may
// hold `/`, `.` and upper case letters, so it is never part of a file name
// unescaped.
type ID struct {
	Namespace string
	Name      string
}

// IDOf is the identity under which Nomad registers j.
func IDOf(j *api.Job) ID {
	id := ID{Namespace: DefaultNamespace}
	if j.Namespace != nil && *j.Namespace != "" {
		id.Namespace = *j.Namespace
	}
	if j.ID != nil {
		id.Name = *j.ID
	}
	return id
}

// String is the name alone in the default namespace, else NAME@NAMESPACE.
func (id ID) String() string {
	if id.Namespace == "" || id.Namespace == DefaultNamespace {
		return id.Name
	}
	return id.Name + "@" + id.Namespace
}

// Called reports whether a person who says so means the job: NAME, in any namespace,
// or NAME@NAMESPACE.
func (id ID) Called(name string) bool {
	return name == id.Name || name == id.Name+"@"+cmp.Or(id.Namespace, DefaultNamespace)
}

// Compare orders by namespace, then by name.
func (id ID) Compare(other ID) int {
	if c := strings.Compare(id.Namespace, other.Namespace); c != 0 {
		return c
	}
	return strings.Compare(id.Name, other.Name)
}

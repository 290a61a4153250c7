package config

import "maps"

// KeysForTest is every key of the schema, as the README writes them.
func KeysForTest() []string {
	c := &Config{}
	var keys []string
	add := func(prefix string, f fields) {
		for name := range maps.Keys(f) {
			keys = append(keys, prefix+name)
		}
	}
	add("", topFields(c))
	add("source.", sourceFields("", &Source{}))
	add("source.nomad.", nomadSourceFields(&NomadSource{}))
	add("library.", libraryFields(&Library{}))
	for name, f := range blocks {
		add(name+".", f(c))
	}
	return keys
}

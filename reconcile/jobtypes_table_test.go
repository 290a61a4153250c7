package reconcile_test

var table = map[string]map[string]end{}

func init() {
	for _, k := range kinds {
		table[k.name] = map[string]end{}
		for _, e := range events {
			table[k.name][e.name] = end{}
		}
	}
}

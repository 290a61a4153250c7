// Package job is the model that every other room speaks: which job (ID), which
// place in it (Path), which change to it (Edit) and which difference between
// two of them (Difference). A job itself is Nomad's own *api.Job; nothing here
// does I/O.
//
// Every path, message and expression uses the names of job files, which are the
// `hcl` tags of the nomad/api structs: group["web"].task["app"].config.args[0].
package job

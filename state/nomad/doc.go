// Package nomad is the live side of a job: it reads and writes Nomad through its
// HTTP API and decides nothing. Every write is check-and-set on the job's modify
// index; every read that can wait is a blocking query; every error says what was
// attempted, on what, and what the person does next.
package nomad

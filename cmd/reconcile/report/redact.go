package report

import "nomad-reconcile/state/job"

// What is secret is the model's to know; here it only gets the names of what is
// printed: a sentence, a line or a text of code or of a log, a diff, a value.
var (
	secretName  = job.IsSecretName
	redactProse = job.RedactText
	redactLine  = job.RedactCode
	redactText  = job.RedactCode
	redactDiff  = job.RedactDiff
	redactValue = job.RedactValue
)

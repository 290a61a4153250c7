# 2,9 Extraneous label for job
job "a" "b" {
}

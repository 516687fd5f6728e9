# syntax=docker/dockerfile:1
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=0.1.0-dev
RUN CGO_ENABLED=0 go build -trimpath \
      -ldflags "-s -w -X github.com/holdfast-dht/holdfast/pkg/daemon.Version=${VERSION}" \
      -o /out/holdfast ./cmd/holdfast \
 && mkdir -p /out/data

FROM scratch
ARG VERSION=0.1.0-dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="holdfast" \
      org.opencontainers.image.description="An always-on Kademlia DHT node for libp2p networks" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/holdfast /usr/local/bin/holdfast
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV HOLDFAST_STORAGE__PATH=/data \
    HOLDFAST_METRICS__LISTEN=0.0.0.0:9474
VOLUME /data
EXPOSE 4011/tcp 4011/udp 9474/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=5 CMD ["/usr/local/bin/holdfast", "health"]
ENTRYPOINT ["/usr/local/bin/holdfast"]
CMD ["serve"]

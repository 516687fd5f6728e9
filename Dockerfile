# An image with only the holdfast binary and its licences: no shell, no libraries, no root user.
#
#   docker build --build-arg VERSION=v1.2.3 --build-arg REVISION="$(git rev-parse HEAD)" \
#     --build-arg DATE="$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)" -t holdfast .
#
# docs/guides/docker.md describes how to run it.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=
ARG REVISION=
ARG DATE=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -X github.com/holdfast-dht/holdfast/internal/daemon.linkedVersion=${VERSION} -X github.com/holdfast-dht/holdfast/internal/daemon.linkedRevision=${REVISION} -X github.com/holdfast-dht/holdfast/internal/daemon.linkedDate=${DATE}" \
      -o /out/holdfast ./cmd/holdfast \
 && mkdir -p -m 0700 /out/state/data \
 && mkdir /out/licenses \
 && cp LICENSE-MIT LICENSE-APACHE /out/licenses/ \
 && deploy/release/licences /out/holdfast >/out/licenses/THIRD_PARTY_LICENSES

FROM scratch
ARG VERSION=
ARG REVISION=
ARG DATE=
LABEL org.opencontainers.image.title="holdfast" \
      org.opencontainers.image.description="An always-on Kademlia DHT node for libp2p networks" \
      org.opencontainers.image.source="https://github.com/holdfast-dht/holdfast" \
      org.opencontainers.image.documentation="https://github.com/holdfast-dht/holdfast/blob/main/docs/OPERATIONS.md" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${DATE}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/holdfast /usr/local/bin/holdfast
COPY --from=build /out/licenses/ /licenses/
COPY --from=build --chown=65532:65532 /out/state/ /
USER 65532:65532
# Metrics and health are reachable from the container's network; publish the port only
# to trusted networks.
ENV HOLDFAST_STORAGE__PATH=/data \
    HOLDFAST_METRICS__LISTEN=0.0.0.0:9474
VOLUME /data
EXPOSE 4011/tcp 4011/udp 9474/tcp
STOPSIGNAL SIGTERM
# A busy node may miss a check: only five failures in a row make it unhealthy.
HEALTHCHECK --interval=30s --timeout=15s --start-period=20s --retries=5 CMD ["/usr/local/bin/holdfast", "health"]
ENTRYPOINT ["/usr/local/bin/holdfast"]
CMD ["serve"]

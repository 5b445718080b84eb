//! Compressed messages, either way. Limits on size hold for what a message is once it is decompressed.

use std::io::Write as _;

use prost::Message as _;
use ragstone_client::{Client, Code, Compression, CreateCollection, Point};
use ragstone_proto::v1;
use ragstone_server::ServerConfig;

use crate::by_hand::ByHand;
use crate::fixture::{Server, config, details, reason};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 3).unwrap()
}

/// A message of about so many bytes, nearly all of them one letter.
fn large(bytes: usize) -> Vec<u8> {
    v1::EmbedRequest { texts: vec!["x".repeat(bytes)], ..Default::default() }.encode_to_vec()
}

#[tokio::test]
async fn a_client_may_compress_either_way() {
    let server = Server::start().await;
    for (name, compression) in [("g", Compression::Gzip), ("z", Compression::Zstd)] {
        let client = Client::builder(server.url()).compression(compression).build().await.unwrap();
        client.create_collection(CreateCollection::with_dimension(name, 2)).await.unwrap();
        let text = "a text that repeats itself ".repeat(1_000);
        let points = (0..10u64).map(|id| Point::new(id, [id as f32, 1.0]).with("text", text.as_str()));
        client.upsert_points(name, points).await.unwrap();
        let found = client.get_points(name, 0..10u64).await.unwrap();
        assert_eq!(found.len(), 10);
        assert_eq!(found[3].payload["text"].as_str(), Some(text.as_str()));
    }
    server.stop().await;
}

/// What the answer is compressed with is the choice of a caller who compresses, among what the server knows. Those who do not get
/// nothing compressed, whatever they accept: gRPC's C core accepts gzip for everyone.
#[tokio::test]
async fn answers_are_compressed_as_their_caller_accepts() {
    let server = Server::start().await;
    let accepted = [("gzip", "gzip"), ("br, zstd", "zstd"), ("zstd,gzip", "zstd"), ("br", ""), ("", "")];
    let compressing = accepted.map(|(accepts, chosen)| (accepts, true, chosen));
    let plain = accepted.map(|(accepts, _)| (accepts, false, ""));
    for (accepts, compresses, chosen) in compressing.into_iter().chain(plain) {
        let mut headers = Vec::new();
        if !accepts.is_empty() {
            headers.push(("grpc-accept-encoding", accepts));
        }
        if compresses {
            headers.push(("grpc-encoding", "gzip"));
        }
        let mut call = ByHand::begin(&server, "InferenceService/ListModels", &headers).await;
        call.send(&v1::ListModelsRequest::default(), true);
        let (headers, mut body) = call.answer().await;
        let encoding = headers.get("grpc-encoding").map_or("", |value| value.to_str().unwrap());
        assert_eq!(encoding, chosen, "{accepts}, compresses: {compresses}");
        let (flag, message) = body.next().await.unwrap();
        let message = match chosen {
            "" => message,
            "gzip" => std::io::read_to_string(flate2::read::GzDecoder::new(&message[..]))
                .map_or_else(|_| decompressed(&message), String::into_bytes),
            _ => zstd::stream::decode_all(&message[..]).unwrap(),
        };
        assert_eq!(flag, u8::from(!chosen.is_empty()));
        assert!(!v1::ListModelsResponse::decode(&message[..]).unwrap().models.is_empty());
    }
    server.stop().await;
}

fn decompressed(message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(message), &mut bytes).unwrap();
    bytes
}

/// A kilobyte that becomes a hundred megabytes is refused for what it becomes, before it has become it.
#[tokio::test]
async fn a_bomb_is_refused_for_what_it_becomes() {
    let server = Server::start_with(ServerConfig { request_bytes_max: 1 << 20, ..config() }).await;
    type Compress = fn(&[u8]) -> Vec<u8>;
    let compress: [(&str, Compress); 2] = [("gzip", gzip), ("zstd", zstd)];
    for (encoding, compress) in compress {
        let bomb = compress(&large(100 << 20));
        assert!(bomb.len() < 200 << 10, "{} bytes", bomb.len());
        let mut call = ByHand::begin(&server, "InferenceService/Embed", &[("grpc-encoding", encoding)]).await;
        call.send_bytes(1, &bomb, true);
        let status = call.refused().await;
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (tonic::Code::ResourceExhausted, "REQUEST_TOO_LARGE"),
            "{encoding}"
        );
        let info = details(&status).error_info().unwrap().clone();
        assert_eq!(
            (info.metadata["limit"].as_str(), info.metadata["max"].as_str()),
            ("REQUEST_BYTES_MAX", "1048576")
        );

        // Just below the limit it is read, and refused for its tokens.
        let mut call = ByHand::begin(&server, "InferenceService/Embed", &[("grpc-encoding", encoding)]).await;
        let text = "x ".repeat((1 << 19) - 100);
        let message = v1::EmbedRequest { texts: vec![text], ..Default::default() }.encode_to_vec();
        call.send_bytes(1, &compress(&message), true);
        assert_eq!(reason(&call.refused().await), "TOKEN_LIMIT", "{encoding}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_decompressed_is_said() {
    let server = Server::start().await;
    let embed = "InferenceService/Embed";
    let mut call = ByHand::begin(&server, embed, &[("grpc-encoding", "gzip")]).await;
    call.send_bytes(1, b"no gzip at all", true);
    let status = call.refused().await;
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (tonic::Code::InvalidArgument, "MALFORMED_MESSAGE")
    );

    let mut call = ByHand::begin(&server, embed, &[("grpc-encoding", "br")]).await;
    call.send_bytes(1, b"whatever", true);
    let (headers, _) = call.answer().await;
    let status = tonic::Status::from_header_map(&headers).unwrap();
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (tonic::Code::Unimplemented, "UNKNOWN_COMPRESSION")
    );
    assert_eq!(headers["grpc-accept-encoding"], "gzip,zstd,identity");
    server.stop().await;
}

/// A client that compresses is refused by limits as any other.
#[tokio::test]
async fn the_limit_of_requests_is_told_to_a_client_that_compresses() {
    let server = Server::start_with(ServerConfig { request_bytes_max: 1 << 20, ..config() }).await;
    let client = Client::builder(server.url()).compression(Compression::Zstd).build().await.unwrap();
    client.create_collection(CreateCollection::with_dimension("c", 256)).await.unwrap();
    let points = (0..20_000u64).map(|id| Point::new(id, vec![1.0; 256]));
    let error = client.upsert_points("c", points).await.unwrap_err();
    assert_eq!(
        (error.code(), error.reason()),
        (Code::ResourceExhausted, Some("REQUEST_TOO_LARGE")),
        "{error:?}"
    );
    server.stop().await;
}

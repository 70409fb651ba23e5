#![allow(clippy::unwrap_used)]

use std::fs;

use drumline::core::Ending;

use super::*;
use crate::testing;

/// Creates a root with one file of ten bytes.
fn file() -> (tempfile::TempDir, Arc<FileRoot>, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.bin");
    fs::write(&path, "0123456789").unwrap();
    let root = Arc::new(FileRoot::new(folder.path().to_owned()));
    (folder, root, path)
}

async fn rest(stream: &mut FileStream, ctx: &Context, bytes: usize) -> Result<Vec<Bytes>, Failure> {
    let mut pieces = Vec::new();
    while let Some(piece) = stream.next(ctx, bytes).await? {
        pieces.push(piece);
    }
    Ok(pieces)
}

#[tokio::test]
async fn a_file_is_read_in_pieces() {
    let (_folder, root, path) = file();
    let run = testing::with_context(|ctx| async move {
        let mut stream = open(&root, &ctx, &path).await?;
        assert_eq!(stream.size, 10);
        assert_eq!(rest(&mut stream, &ctx, 4).await?, ["0123", "4567", "89"]);
        assert_eq!(stream.position, 10);
        let mut whole = open(&root, &ctx, &path).await?;
        assert_eq!(rest(&mut whole, &ctx, 99).await?, ["0123456789"]);
        Ok(())
    });
    let run = run.await;
    assert!(run.is_done(), "{run}");
}

#[tokio::test]
async fn a_file_is_read_on_while_it_is_the_same() {
    let (_folder, root, path) = file();
    let run = testing::with_context(|ctx| async move {
        let version = open(&root, &ctx, &path).await?.version;
        for (offset, expected) in [(0, &["0123456789"][..]), (7, &["789"]), (10, &[])] {
            let mut stream = reopen(&root, &ctx, &path, &version, offset).await?.unwrap();
            assert_eq!(
                (stream.position, rest(&mut stream, &ctx, 99).await?.as_slice()),
                (offset, expected_bytes(expected).as_slice())
            );
        }
        assert!(reopen(&root, &ctx, &path, &version, 11).await?.is_none());
        fs::write(&path, "9876543210")?;
        assert!(reopen(&root, &ctx, &path, &version, 7).await?.is_none());
        Ok(())
    });
    let run = run.await;
    assert!(run.is_done(), "{run}");
}

fn expected_bytes(pieces: &[&'static str]) -> Vec<Bytes> {
    pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect()
}

#[tokio::test]
async fn a_file_that_changes_under_its_reader_is_noticed() {
    let (_folder, root, path) = file();
    let run = testing::with_context(|ctx| async move {
        let mut stream = open(&root, &ctx, &path).await?;
        stream.next(&ctx, 4).await?;
        fs::write(&path, "0123456789 and more")?;
        stream.next(&ctx, 4).await.map(|_| ())
    });
    let run = run.await;
    assert!(matches!(run.ending(), Ending::RetryAsked { .. }), "{run}");
    assert!(run.reason().unwrap().contains("was changed"), "{run}");
}

#[tokio::test]
async fn another_file_in_its_place_is_none_of_its_readers_business() {
    let (_folder, root, path) = file();
    let run = testing::with_context(|ctx| async move {
        let mut stream = open(&root, &ctx, &path).await?;
        stream.next(&ctx, 4).await?;
        root.write(&path, b"abc")?;
        assert_eq!(rest(&mut stream, &ctx, 99).await?, ["456789"]);
        Ok(())
    });
    let run = run.await;
    assert!(run.is_done(), "{run}");
}

#[tokio::test]
async fn nothing_outside_is_opened() {
    let (folder, root, _) = file();
    let folder = folder.path().to_owned();
    for path in [folder.join("../x"), folder.join("none"), folder] {
        let root = Arc::clone(&root);
        let run =
            testing::with_context(move |ctx| async move { open(&root, &ctx, &path).await.map(|_| ()) }).await;
        assert!(matches!(run.ending(), Ending::Rejected { .. }), "{run}");
    }
}

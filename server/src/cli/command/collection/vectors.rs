//! Vectors of a collection as they are typed: `title=384:cosine:encoding=int8:element=f16`.

use anyhow::{Context, Result, bail};
use ragstone::{DenseOptions, ElementType, EncodingKind, Metric, MultiOptions, SparseOptions, VectorKind};

use crate::cli::args::CreateArgs;

/// The named vectors that the arguments ask for.
pub(super) fn named(args: &CreateArgs) -> Result<Vec<(String, VectorKind)>> {
    let mut vectors = Vec::new();
    for text in &args.vectors {
        let (name, dimension, rest) = split("--vector", text)?;
        let dense = options(DenseOptions::new(dimension), rest, ':', "--vector")?;
        vectors.push((name, VectorKind::Dense(dense)));
    }
    vectors.extend(args.sparse.iter().map(|name| (name.clone(), VectorKind::Sparse(SparseOptions::new()))));
    for text in &args.multi {
        let (name, dimension, rest) = split("--multi", text)?;
        let dense = options(DenseOptions::new(dimension), rest, ':', "--multi")?;
        if dense != DenseOptions::new(dimension).metric(dense.metric).element(dense.element) {
            bail!("--multi {text}: many vectors are compared exactly: they have a metric and an element");
        }
        let multi = MultiOptions::new(dimension).metric(dense.metric).element(dense.element);
        vectors.push((name, VectorKind::Multi(multi)));
    }
    Ok(vectors)
}

/// `NAME=[dense:|multi:]DIM:REST`.
fn split<'a>(flag: &str, text: &'a str) -> Result<(String, usize, &'a str)> {
    let wanted = || format!("{flag} {text}: write it as NAME=DIM[:METRIC][:OPTIONS]");
    let (name, rest) = text.split_once('=').with_context(wanted)?;
    let rest = rest.strip_prefix("dense:").or_else(|| rest.strip_prefix("multi:")).unwrap_or(rest);
    let (dimension, rest) = rest.split_once(':').unwrap_or((rest, ""));
    Ok((name.to_owned(), dimension.parse().ok().with_context(wanted)?, rest))
}

/// Sets what the parts of a text say.
pub(super) fn options(
    mut dense: DenseOptions,
    text: &str,
    between: char,
    flag: &str,
) -> Result<DenseOptions> {
    for part in text.split(between).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or(("metric", part));
        let number = || value.parse::<usize>().ok().with_context(|| format!("{flag}: {part}: no number"));
        match name {
            "metric" => dense.metric = metric(value).with_context(|| unknown(flag, part))?,
            "element" => dense.element = element(value).with_context(|| unknown(flag, part))?,
            "encoding" => dense.encoding = encoding(value).with_context(|| unknown(flag, part))?,
            "walk" => dense.walk_dimension = Some(number()?),
            "degree" => dense.graph.degree = number()?,
            "ef" => dense.graph.ef_construction = number()?,
            _ => bail!("{}", unknown(flag, part)),
        }
    }
    Ok(dense)
}

fn unknown(flag: &str, part: &str) -> String {
    format!(
        "{flag}: there is no `{part}`; there are cosine, dot, l2, element=f32|f16, encoding=f32|f16|int8|int4|bit1, \
         walk=N, degree=N, ef=N"
    )
}

fn metric(name: &str) -> Option<Metric> {
    [Metric::Cosine, Metric::Dot, Metric::L2].into_iter().find(|metric| metric.to_string() == name)
}

fn element(name: &str) -> Option<ElementType> {
    match name {
        "f32" => Some(ElementType::F32),
        "f16" => Some(ElementType::F16),
        _ => None,
    }
}

fn encoding(name: &str) -> Option<EncodingKind> {
    match name {
        "f32" => Some(EncodingKind::F32),
        "f16" => Some(EncodingKind::F16),
        "int8" => Some(EncodingKind::Int8),
        "int4" => Some(EncodingKind::Int4),
        "bit1" => Some(EncodingKind::Bit1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_what_they_are_typed_as() {
        let read = |text| {
            let (name, dimension, rest) = split("--vector", text)?;
            Ok::<_, anyhow::Error>((name, options(DenseOptions::new(dimension), rest, ':', "--vector")?))
        };
        assert_eq!(read("a=8").unwrap(), ("a".into(), DenseOptions::new(8)));
        let dense = DenseOptions::new(8).metric(Metric::Dot).element(ElementType::F16).walk_dimension(4);
        let mut dense = dense.encoding(EncodingKind::Bit1);
        dense.graph.degree = 48;
        assert_eq!(
            read("a=dense:8:dot:element=f16:walk=4:encoding=bit1:degree=48").unwrap(),
            ("a".into(), dense)
        );
        for wrong in ["a", "a=", "a=x", "a=8:manhattan", "a=8:degree=x", "a=8:colour=red"] {
            assert!(read(wrong).unwrap_err().to_string().starts_with("--vector"), "{wrong}");
        }
    }
}

//! Pictures side by side.

use ndarray::{Array3, s};

use super::Picture;

/// Some pictures of one height, from left to right, white between them.
///
/// # Panics
/// If there is none, or their heights differ.
#[must_use]
pub fn row(pictures: &[Picture], gap: usize) -> Picture {
    let height = pictures.first().expect("a row has a picture").height();
    let width = pictures.iter().map(Picture::width).sum::<usize>() + gap * (pictures.len() - 1);
    let mut rgb = Array3::ones((height, width, 3));
    let mut left = 0;
    for picture in pictures {
        rgb.slice_mut(s![.., left..left + picture.width(), ..]).assign(&picture.rgb);
        left += picture.width() + gap;
    }
    Picture::from_rgb(rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_side_by_side_with_white_between() {
        let one = |width, level| Picture::from_rgb(Array3::from_elem((2, width, 3), level));
        let row = row(&[one(1, 0.25), one(2, 0.5)], 1);
        let first: Vec<f32> = row.rgb.slice(s![1, .., 2]).to_vec();
        assert_eq!(first, [0.25, 1.0, 0.5, 0.5]);
    }
}

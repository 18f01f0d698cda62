//! How a tensor lies in candle's memory, and its elements in one of the orders that are computed.

use crate::Layout as Order;
use candle_core::backend::BackendStorage;
use candle_core::{bail, CpuStorage, DType, Error, Layout, Result};
use std::borrow::Cow;

/// One input: candle's memory, and where in it the tensor lies.
pub(super) struct View<'a> {
    storage: &'a CpuStorage,
    data: &'a [f32],
    layout: &'a Layout,
}

impl<'a> View<'a> {
    /// # Errors
    /// Another type than `f32`.
    pub fn new(name: &'static str, storage: &'a CpuStorage, layout: &'a Layout) -> Result<Self> {
        match storage {
            CpuStorage::F32(data) => Ok(Self { storage, data, layout }),
            _ => Err(Error::UnexpectedDType { msg: name, expected: DType::F32, got: storage.dtype() }.bt()),
        }
    }

    /// `[batch, heads, length, width]`.
    ///
    /// # Errors
    /// Another rank.
    pub fn dimensions(&self) -> Result<[usize; 4]> {
        Ok(self.layout.shape().dims4()?.into())
    }

    pub fn elements(&self) -> usize {
        elements(self.layout)
    }

    pub fn lies_in(&self, order: Order) -> bool {
        lies_in(self.layout, order)
    }

    /// The elements in an order: borrowed if they lie so, otherwise copied.
    pub fn read(&self, order: Order) -> Result<Cow<'a, [f32]>> {
        if self.lies_in(order) {
            let begin = self.layout.start_offset();
            let Some(data) = self.data.get(begin..begin + self.elements()) else {
                bail!("a tensor of {} elements at {begin} lies outside its {}", self.elements(), self.data.len());
            };
            return Ok(Cow::Borrowed(data));
        }
        let gathered = match order {
            Order::HeadsFirst => gather(self.storage, self.layout),
            Order::LengthFirst => gather(self.storage, &self.layout.transpose(1, 2)?),
        };
        Ok(Cow::Owned(gathered?))
    }
}

/// The order of fewer elements to copy; heads first if there is no difference.
pub(super) fn cheapest_order(copied_elements: impl Fn(Order) -> usize) -> Order {
    if copied_elements(Order::LengthFirst) < copied_elements(Order::HeadsFirst) {
        Order::LengthFirst
    } else {
        Order::HeadsFirst
    }
}

/// Whether a tensor `[batch, heads, length, width]` lies in an order without gaps.
pub(super) fn lies_in(layout: &Layout, order: Order) -> bool {
    let ([batch, heads, length, width], &[batch_stride, head_stride, row_stride, column_stride]) =
        (layout.dims(), layout.stride())
    else {
        return false;
    };
    let (head, row) = ((heads, head_stride), (length, row_stride));
    let (inner, outer) = match order {
        Order::HeadsFirst => (row, head),
        Order::LengthFirst => (head, row),
    };
    let mut expected = 1_usize;
    // The stride of a dimension of one element says nothing.
    [(width, column_stride), inner, outer, (batch, batch_stride)].into_iter().all(|(&size, stride)| {
        let fits = size == 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

/// How many elements a tensor has; a broadcast one may have more than can be counted.
pub(super) fn elements(layout: &Layout) -> usize {
    layout.dims().iter().fold(1, |product: usize, &size| product.saturating_mul(size))
}

/// The elements of a tensor one after another, as its axes are ordered.
pub(super) fn gather(storage: &CpuStorage, layout: &Layout) -> Result<Vec<f32>> {
    let mut gathered = CpuStorage::F32(vec![0.0; layout.shape().elem_count()]);
    storage.copy_strided_src(&mut gathered, 0, layout)?;
    match gathered {
        CpuStorage::F32(gathered) => Ok(gathered),
        other => bail!("a copy of f32 became one of {:?}", other.dtype()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Storage, Tensor};

    const ORDERS: [Order; 2] = [Order::HeadsFirst, Order::LengthFirst];

    /// Where the elements of a tensor are read from in each order, counted from the beginning of its memory; `None` if they are copied.
    fn places(tensor: &Tensor) -> [Option<usize>; 2] {
        let (storage, layout) = tensor.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { panic!("memory of the host") };
        let begin = storage.as_slice::<f32>().expect("floats").as_ptr().addr();
        let view = View::new("queries", storage, layout).expect("floats");
        ORDERS.map(|order| match view.read(order).expect("elements") {
            Cow::Borrowed(data) => Some((data.as_ptr().addr() - begin) / size_of::<f32>()),
            Cow::Owned(_) => None,
        })
    }

    fn tensor(dimensions: [usize; 4]) -> Tensor {
        let count = dimensions.iter().product::<usize>() as u32;
        let tensor = Tensor::arange(0, count, &Device::Cpu).and_then(|tensor| tensor.to_dtype(DType::F32));
        tensor.and_then(|tensor| tensor.reshape(dimensions.to_vec())).expect("a tensor")
    }

    #[test]
    fn what_lies_in_an_order_is_borrowed() {
        let plain = tensor([5, 2, 3, 4]);
        let turned = plain.transpose(1, 2).expect("a view");
        assert_eq!(places(&plain), [Some(0), None]);
        assert_eq!(places(&turned), [None, Some(0)]);
        // Sequences of a batch start where they do.
        assert_eq!(places(&plain.narrow(0, 2, 3).expect("a view")), [Some(48), None]);
        assert_eq!(places(&turned.narrow(0, 1, 2).expect("a view")), [None, Some(24)]);
        // A head of one sequence lies in both orders, whatever the strides of dimensions of one element.
        let head = plain.narrow(0, 3, 1).and_then(|one| one.narrow(1, 1, 1)).expect("a view");
        assert_eq!(places(&head), [Some(84), Some(84)]);
        // One position of all heads, as a decoder asks for.
        assert_eq!(places(&tensor([1, 6, 1, 4])), [Some(0), Some(0)]);
    }

    #[test]
    fn other_strides_are_copied() {
        let plain = tensor([2, 3, 5, 4]);
        for dimension in 1..4 {
            assert_eq!(places(&plain.narrow(dimension, 1, 2).expect("a view")), [None, None], "along {dimension}");
        }
        assert_eq!(places(&plain.transpose(2, 3).expect("a view")), [None, None]);
        assert_eq!(places(&tensor([1, 1, 5, 4]).broadcast_as((2, 3, 5, 4)).expect("a view")), [None, None]);
    }

    #[test]
    fn copies_have_the_elements_in_order() {
        let view = tensor([2, 3, 5, 4]).narrow(2, 1, 3).expect("a view");
        let (storage, layout) = view.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { panic!("memory of the host") };
        let read = |order| View::new("queries", storage, layout).and_then(|view| view.read(order)).expect("elements");
        let flat = |tensor: &Tensor| tensor.flatten_all().and_then(|flat| flat.to_vec1::<f32>()).expect("floats");
        assert_eq!(read(Order::HeadsFirst).as_ref(), flat(&view));
        assert_eq!(read(Order::LengthFirst).as_ref(), flat(&view.transpose(1, 2).expect("a view")));
    }

    #[test]
    fn fewer_elements_are_copied() {
        assert_eq!(cheapest_order(|order| if order == Order::LengthFirst { 3 } else { 4 }), Order::LengthFirst);
        assert_eq!(cheapest_order(|_| 4), Order::HeadsFirst);
    }
}
